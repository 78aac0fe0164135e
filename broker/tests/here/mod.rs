//! A broker in this process that serves real connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use lepus::config::Config;
use lepus::node::Node;
use lepus::server;
use tokio::sync::oneshot;

/// The broker. It ends with the value.
pub struct Here {
    /// What it is inside.
    pub node: Arc<Node>,
    /// Where it listens.
    pub address: String,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl Here {
    /// One that forgets everything.
    pub fn in_memory() -> Self {
        Self::with(Config::default())
    }

    /// The same with settings.
    pub fn with(config: Config) -> Self {
        let config = Config { memory_watermark: u64::MAX, disk_free_limit: 0, ..config };
        let node = Node::in_memory(config);
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let served = node.clone();
        let serving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = server::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
                tell.send(listener.local_addr().unwrap().to_string()).unwrap();
                server::run(served, listener, async { drop(stopped.await) }).await;
            });
        });
        let address = told.recv().expect("an address");
        Self { node, address, stop: Some(stop), serving: Some(serving) }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(serving) = self.serving.take() {
            serving.join().expect("no panic");
        }
    }
}
