//! The network between clients and broker, which can be cut and held up. It also gives a broker that is
//! started again on another port the same address.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// All.
    Both,
    /// Nothing; nobody is told.
    None,
    /// Only what clients send.
    Up,
}

/// Its controls.
pub struct Wire {
    address: SocketAddr,
    broker: Mutex<Option<SocketAddr>>,
    flow: watch::Sender<Flow>,
    /// How often it was cut.
    cuts: watch::Sender<u64>,
}

impl Wire {
    /// Takes connections from now on.
    pub async fn start() -> Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the wire")?;
        let wire = Arc::new(Self {
            address: listener.local_addr()?,
            broker: Mutex::default(),
            flow: watch::Sender::new(Flow::Both),
            cuts: watch::Sender::new(0),
        });
        tokio::spawn(wire.clone().accept(listener));
        Ok(wire)
    }

    /// Where clients connect to.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}", self.address)
    }

    /// Leads to the broker at this URL.
    pub fn lead_to(&self, url: &str) -> Result<()> {
        let address = url.rsplit_once('@').map_or(url, |(_, address)| address);
        *self.broker.lock() = Some(address.parse().context("no address")?);
        Ok(())
    }

    /// Lets only this pass.
    pub fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(self.clone().carry(client));
        }
    }

    async fn carry(self: Arc<Self>, client: TcpStream) {
        let mut cuts = self.cuts.subscribe();
        let Some(address) = *self.broker.lock() else { return };
        let Ok(broker) = TcpStream::connect(address).await else { return };
        if client.set_nodelay(true).and(broker.set_nodelay(true)).is_err() {
            return;
        }
        let (from_client, to_client) = client.into_split();
        let (from_broker, to_broker) = broker.into_split();
        tokio::select! {
            () = pump(from_client, to_broker, self.flow.subscribe(), &[Flow::Both, Flow::Up]) => {}
            () = pump(from_broker, to_client, self.flow.subscribe(), &[Flow::Both]) => {}
            _ = cuts.changed() => {}
        }
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut flow: watch::Receiver<Flow>,
    when: &[Flow],
) {
    let mut room = vec![0; 64 << 10];
    while let Ok(octets @ 1..) = from.read(&mut room).await {
        let free = flow.wait_for(|flow| when.contains(flow)).await.is_ok();
        let octets = room.get(..octets).unwrap_or_default();
        if !free || to.write_all(octets).await.is_err() {
            break;
        }
    }
}
