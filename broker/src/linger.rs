//! The end of a socket.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Lets the peer read the last words before the socket goes: closing with unread input would
/// throw them away.
pub async fn linger(mut socket: TcpStream, patience: Duration) {
    let drain = async {
        socket.shutdown().await?;
        let mut sink = [0; 1024];
        while socket.read(&mut sink).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Whichever way the peer goes, the socket is closed afterwards.
    let _ = timeout(patience, drain).await;
}

/// Waits until the peer closes the socket. What it still says is not heard.
pub async fn await_end(socket: &mut TcpStream, patience: Duration) {
    let drain = async {
        let mut sink = [0; 1024];
        while socket.read(&mut sink).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Or as long as its patience lasts.
    let _ = timeout(patience, drain).await;
}
