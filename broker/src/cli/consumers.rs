//! `lepus consumers`.

use clap::{Args, Subcommand};

use super::client::path;
use super::failure::{Done, Failure};
use super::reach::Reach;
use super::table::{Column, find, rows, text};

const COLUMNS: &[Column] = &[
    Column::text("vhost", "queue.vhost"),
    Column::text("queue", "queue.name"),
    Column::text("tag", "consumer_tag"),
    Column::text("channel", "channel_details.name"),
    Column::text("user", "channel_details.user"),
    Column::count("prefetch", "prefetch_count"),
    Column::text("acks", "ack_required"),
    Column::text("exclusive", "exclusive"),
    Column::text("state", "activity_status"),
    Column::count("unacked", "messages_unacknowledged"),
    Column::millis("oldest", "oldest_unacknowledged_age"),
];

/// Arguments of `lepus consumers`.
#[derive(Args)]
pub struct ConsumersArgs {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List them.
    Ls {
        /// Only those of this queue, with what they hold.
        #[arg(long)]
        queue: Option<String>,
    },
    /// Cancel one; its client is told.
    Cancel {
        /// Its tag.
        tag: String,
        /// The connection, where several have a consumer of that tag.
        #[arg(long)]
        connection: Option<String>,
        /// The number of its channel.
        #[arg(long)]
        channel: Option<u64>,
    },
}

/// Runs `lepus consumers`.
pub fn run(ConsumersArgs { reach, verb }: &ConsumersArgs) -> Done {
    let session = reach.session()?;
    let all = || session.client.get(&session.all_of("consumers"));
    match verb {
        Verb::Ls { queue: None } => session.list(&all()?, COLUMNS),
        Verb::Ls { queue: Some(queue) } => {
            let queue = session.client.get(&path(&["x", "queues", session.vhost(), queue]))?;
            session.list(find(&queue, "consumers"), COLUMNS)
        }
        Verb::Cancel { tag, connection, channel } => {
            let mut consumers = rows(&all()?);
            consumers.retain(|consumer| {
                let on = |at: &str| find(consumer, at);
                text(on("consumer_tag")) == *tag
                    && connection
                        .as_ref()
                        .is_none_or(|name| text(on("channel_details.connection_name")) == *name)
                    && channel
                        .is_none_or(|number| on("channel_details.number").as_u64() == Some(number))
            });
            let consumer = match consumers.as_slice() {
                [] => return Err(Failure::no("there is no such consumer")),
                [one] => one,
                _ => return Err(Failure::no("several: say which, by --connection and --channel")),
            };
            let on = |at: &str| text(find(consumer, at));
            session.client.delete(&path(&[
                "x",
                "consumers",
                &on("queue.vhost"),
                &on("channel_details.connection_name"),
                &on("channel_details.number"),
                tag,
            ]))?;
            session.say("cancelled")
        }
    }
}
