//! A connection comes into a virtual host, as far as limits let it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Node;
use crate::access::limits::Open;
use crate::error::Refusal;
use crate::vhost::{NoEntry, Vhost};
use lepus_protocol::reply::ReplyCode;

/// A connection's place in a virtual host, counted for as long as this is kept.
pub struct Place {
    node: Arc<Node>,
    vhost: Arc<Vhost>,
    connection: u64,
    user: String,
    open: Open,
}

impl Node {
    /// Lets a connection of a user into a virtual host, or says in RabbitMQ's words why not.
    pub fn enter(
        self: &Arc<Self>,
        connection: u64,
        user: &str,
        vhost: &str,
    ) -> Result<Place, Refusal> {
        if let Some(max) = self.config().connection_max
            && self.connection_count() > max as usize
        {
            return Err(refused(format_args!(
                "connection refused: node connection limit ({max}) is reached"
            )));
        }
        let missing = || refused(format_args!("vhost {vhost} not found"));
        let vhost = self.vhost(vhost).ok_or_else(missing)?;
        let name = &vhost.name;
        vhost.members.enter(connection).map_err(|why| match why {
            NoEntry::Closed => missing(),
            NoEntry::Full(max) => refused(format_args!(
                "access to vhost '{name}' refused for user '{user}': connection limit ({max}) is \
                 reached"
            )),
        })?;
        match self.usage.connect(user) {
            Ok(open) => {
                let (node, user) = (self.clone(), user.to_owned());
                Ok(Place { node, vhost, connection, user, open })
            }
            Err(max) => {
                vhost.members.leave(connection);
                Err(refused(format_args!(
                    "connection refused for user '{user}': user connection limit ({max}) is reached"
                )))
            }
        }
    }
}

impl Place {
    /// Where it is.
    pub fn vhost(&self) -> &Arc<Vhost> {
        &self.vhost
    }

    /// One more channel, or in RabbitMQ's words why not.
    pub fn open_channel(&self) -> Result<(), Refusal> {
        let user = &self.user;
        self.open.open_channel().map_err(|max| {
            refused(format_args!(
                "number of channels opened for user '{user}' has reached the maximum allowed user \
                 limit of ({max})"
            ))
        })?;
        self.node.count_channel().map_err(|max| {
            self.open.close_channel();
            let node = Node::NAME;
            refused(format_args!(
                "number of channels opened on node '{node}' has reached the maximum allowed limit \
                 of {max}"
            ))
        })
    }

    /// A channel is gone.
    pub fn close_channel(&self) {
        self.open.close_channel();
        self.node.uncount_channel();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.vhost.members.leave(self.connection);
    }
}

impl Node {
    /// One more channel, unless that is more than the number returned.
    fn count_channel(&self) -> Result<(), u64> {
        let max = self.config().channel_max_per_node.map(u64::from);
        let one_more = |open| (max.is_none_or(|max| open < max)).then_some(open + 1);
        let counted = self.channels.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        counted.map_err(|_| max.unwrap_or_default())?;
        self.stats.channel_created.add(1);
        Ok(())
    }

    fn uncount_channel(&self) {
        self.channels.fetch_sub(1, Ordering::Relaxed);
        self.stats.channel_closed.add(1);
    }

    /// How many channels there are.
    pub fn channel_count(&self) -> u64 {
        self.channels.load(Ordering::Relaxed)
    }
}

fn refused(text: impl std::fmt::Display) -> Refusal {
    Refusal::new(ReplyCode::NotAllowed, text)
}
