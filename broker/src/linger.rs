//! The end of a socket.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Lets the peer read the last words before the socket goes: closing with unread input would
/// throw them away.
pub async fn linger(mut socket: TcpStream, patience: Duration) {
    let end = async {
        socket.shutdown().await?;
        drain(&mut socket).await
    };
    // Whichever way the peer goes, the socket is closed afterwards.
    let _ = timeout(patience, end).await;
}

/// Waits until the peer closes the socket. What it still says is not heard.
pub async fn await_end(socket: &mut TcpStream, patience: Duration) {
    // Or as long as its patience lasts.
    let _ = timeout(patience, drain(socket)).await;
}

async fn drain(socket: &mut TcpStream) -> io::Result<()> {
    let mut sink = [0; 1024];
    while socket.read(&mut sink).await? > 0 {}
    Ok(())
}
