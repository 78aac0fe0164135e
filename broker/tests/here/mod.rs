//! A broker in this process: real connections, real files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;

use lepus::config::Config;
use lepus::config::listeners::Listeners;
use lepus::node::Node;
use lepus::server;
use lepus::stores::Stores;
use lepus::vhost::Vhost;
use lepus_tests::*;
use tokio::sync::oneshot;

/// A directory that goes with the test.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new() -> Self {
        Self(std::env::temp_dir().join(unique("here")))
    }

    /// What is in there now. The queues of a broker keep it, and with it its files, to the process's
    /// end, so that another one needs its own.
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        let copied = Command::new("cp").arg("-r").arg(&self.0).arg(&copy.0).status();
        assert!(copied.expect("cp").success());
        copy
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A broker that serves connections.
pub struct Here {
    pub node: Arc<Node>,
    /// The one that every broker begins with.
    pub vhost: Arc<Vhost>,
    pub address: String,
    stop: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Here {
    pub fn start(directory: &Path) -> Self {
        Self::start_with(directory, Config::default())
    }

    pub fn start_with(directory: &Path, config: Config) -> Self {
        let listeners = Listeners { amqp_port: Some(0), ..Listeners::default() };
        let config = Config { listeners, disk_free_limit: 0, segment_bytes: 1 << 20, ..config };
        let (stores, found) = Stores::open(directory, &config).expect("stores");
        let node = Node::new(config, stores);
        node.restore(found).expect("what was declared");
        node.set_up().expect("the default user");
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let served = node.clone();
        let serving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listeners = server::listen(&served.config()).unwrap();
                tell.send(listeners[0].address().unwrap().to_string()).unwrap();
                server::run(served, listeners, async { drop(stopped.await) }).await;
            });
        });
        let (timers, reader) = (node.clone(), node.clone());
        let threads = vec![
            serving,
            std::thread::spawn(move || timers.timers().work()),
            std::thread::spawn(move || reader.loader().work()),
        ];
        let vhost = node.vhost("/").expect("the virtual host that every broker has");
        let address = told.recv().expect("an address");
        Self { node, vhost, address, stop: Some(stop), threads }
    }

    pub fn connect(&self) -> Conn {
        Conn::login(&self.address, &Login::default())
    }

    pub fn end(&mut self) {
        let Some(stop) = self.stop.take() else { return };
        let _ = stop.send(());
        self.node.timers().stop();
        self.node.loader().stop();
        for thread in self.threads.drain(..) {
            thread.join().expect("no panic");
        }
        self.node.store().close().expect("a store that is closed well");
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.end();
    }
}
