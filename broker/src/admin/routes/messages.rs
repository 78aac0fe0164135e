//! Messages are published and taken, one request at a time: for a look, not for work.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lepus_protocol::method::Verdict;
use lepus_protocol::reply::ReplyCode;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::{Reply, Routes, exchange_name, ok, properties, queues};
use crate::access::{Kind, Resource, Topic};
use crate::admin::auth::Caller;
use crate::admin::error::Fault;
use crate::admin::input::{Input, Path};
use crate::admin::settle::PATIENCE;
use crate::admin::table::{get, post};
use crate::envelope;
use crate::error::Refusal;
use crate::mailbox::Mailbox;
use crate::message::{Builder, Message};
use crate::node::Node;
use crate::queue::state::{Command, Entry, Outcome, SeqRange};
use crate::queue::{Fate, Queue, Receipt};
use crate::session::publish::check_properties;
use crate::stats::Messages;
use crate::topology::Route;
use crate::vhost::Vhost;

/// Its queues may give it to consumers.
const LATE: &str =
    "the disk takes longer than usual: whether the message is stored is not known yet";

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(1);

/// What `aliveness-test` uses.
const PROBE: &str = "aliveness-test";

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/exchanges/{vhost}/{exchange}/publish", post(publish).shows("Published"))
        .route("/api/queues/{vhost}/{queue}/get", post(take).lists("Message"))
        .route("/api/aliveness-test/{vhost}", get(aliveness))
}

async fn publish(
    caller: Caller,
    Path((vhost, exchange)): Path<(String, String)>,
    input: Input,
) -> Reply {
    let vhost = caller.vhost_to_change(&vhost)?;
    input.need(&["routing_key", "properties", "payload", "payload_encoding"])?;
    let body = match input.text("payload_encoding")? {
        "string" => input.text("payload")?.as_bytes().to_vec(),
        "base64" => {
            let payload = input.text("payload")?;
            let invalid = |_| Fault::bad_request(json!(["not_base64", payload]));
            STANDARD.decode(payload).map_err(invalid)?
        }
        other => return Err(Fault::bad_request(format!("Unsupported encoding '{other}'"))),
    };
    let properties = input.object("properties")?;
    let route = [exchange_name(&exchange), input.text("routing_key")?];
    let routed = send(&caller, &vhost, route, &properties, &body).await?;
    ok(json!({"routed": routed}))
}

/// Publishes a message; `true` once all queues that it goes to have it, the durable ones for good.
async fn send(
    caller: &Caller,
    vhost: &Vhost,
    [exchange, key]: [&str; 2],
    properties: &Map<String, Value>,
    body: &[u8],
) -> Result<bool, Fault> {
    let node = caller.node();
    caller.permit(&vhost.name, Resource::Exchange(exchange), Kind::Write)?;
    if !exchange.is_empty() {
        vhost.read(|topology| topology.publishable(exchange)).map_err(closed)?;
        caller.permit_topic(vhost, Topic { exchange, key }, Kind::Write)?;
    }
    if key.len() > usize::from(u8::MAX) || body.len() as u64 > node.max_message_size() {
        return Err(Fault::bad_request("the routing key or the payload is too large"));
    }
    if node.alarms().any() {
        return Err(Fault::unavailable(node.alarms().reason()));
    }
    let (properties, persistent) = properties::read(properties)?;
    check_properties(&properties, caller.identity()).map_err(closed)?;
    let octets = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    let route = [octets(exchange), octets(key)].concat();
    let message = Builder::whole(node.now_ms(), &route, &properties, body, persistent);
    let queues = find_queues(vhost, exchange, message)?;
    let routed = queues.0.iter().any(|queue| !queue.record.delays());
    let taken = hand_over(node, queues).await?;
    // As with RabbitMQ, somebody has published it who awaits a confirm, or has it returned.
    let (confirm, return_unroutable) = (u64::from(taken), u64::from(!routed));
    let counted = Messages { publish: 1, confirm, return_unroutable, ..Messages::default() };
    vhost.stats.messages.add(&counted);
    Ok(taken && routed)
}

/// The queues of a message, and the message as they get it.
fn find_queues(
    vhost: &Vhost,
    exchange: &str,
    message: Message,
) -> Result<(Vec<Arc<Queue>>, Message), Fault> {
    let headers = envelope::headers(&message);
    let extra = headers.as_ref().map(envelope::extra_keys).transpose().map_err(closed)?;
    let bare = match &headers {
        Some(headers) if headers.contains_key("BCC") => envelope::without_bcc(&message, headers),
        _ => message.clone(),
    };
    let extra = extra.unwrap_or_default();
    let keys = envelope::keys(&message, &extra);
    let input = envelope::route_input(&message, &keys, headers.as_ref());
    let Route { queues, exchange, .. } = vhost.route(exchange, &input, &bare).map_err(closed)?;
    if let Some(exchange) = exchange {
        exchange.publish_in.add(1);
        exchange.publish_out.add(queues.len() as u64);
    }
    // What is held back needs its keys later.
    let held = !queues.is_empty() && queues.iter().all(|queue| queue.record.holds_back);
    let mut message = if held { message.clone() } else { bare };
    if queues.len() > 1 {
        message.set_shared();
    }
    Ok((queues, message))
}

/// `false`: a full queue has refused it.
async fn hand_over(
    node: &Arc<Node>,
    (queues, message): (Vec<Arc<Queue>>, Message),
) -> Result<bool, Fault> {
    let receipt = Receipt::new(&Arc::<Mailbox>::default());
    let mut taken = true;
    for queue in queues {
        receipt.await_one();
        let publish = Command::Publish(vec![message.clone()]);
        let outcome = queue.apply_for(publish, Some(&receipt), None);
        taken &= !matches!(outcome, Outcome::Rejected(_));
    }
    receipt.complete();
    stored(node, &receipt).await.map(|()| taken)
}

/// Waits until what a receipt follows would survive a crash.
pub(super) async fn stored(node: &Node, receipt: &Receipt) -> Result<(), Fault> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match receipt.fate(node.durability()) {
            Fate::Durable => return Ok(()),
            Fate::Open if Instant::now() < deadline => sleep(PAUSE).await,
            Fate::Open => return Err(Fault::unavailable(LATE)),
            Fate::Refused => return Err(Fault::unavailable("the message could not be stored")),
        }
    }
}

/// What AMQP would close the channel for is told with the code's number and name.
pub(super) fn closed(refusal: Refusal) -> Fault {
    match refusal.code {
        ReplyCode::AccessRefused => refusal.into(),
        code => Fault::bad_request(format!("{} {}", code.code(), refusal.reply_text())),
    }
}

/// What becomes of messages that were shown.
#[derive(Clone, Copy)]
struct AckMode {
    no_ack: bool,
    verdict: Verdict,
}

impl AckMode {
    fn parse(name: &str) -> Result<Self, Fault> {
        let mode = |no_ack, verdict| Ok(Self { no_ack, verdict });
        match name {
            "ack_requeue_false" => mode(true, Verdict::Ack),
            "ack_requeue_true" => mode(false, Verdict::Requeue),
            "reject_requeue_true" => mode(false, Verdict::Fail),
            "reject_requeue_false" => mode(false, Verdict::Discard),
            other => Err(Fault::bad_request(format!("Invalid ackmode value: {other}"))),
        }
    }
}

async fn take(caller: Caller, Path((vhost, name)): Path<(String, String)>, input: Input) -> Reply {
    let vhost = caller.vhost_to_change(&vhost)?;
    input.need(&["count", "ackmode", "encoding"])?;
    let count = input.integer("count")?.unwrap_or_default();
    let mode = AckMode::parse(input.text("ackmode")?)?;
    let always_base64 = match input.text("encoding")? {
        "auto" => false,
        "base64" => true,
        _ => {
            let text = "Unsupported encoding. Please use 'auto' or 'base64'.";
            return Err(Fault::bad_request(text));
        }
    };
    let truncate = input.integer("truncate")?.and_then(|octets| usize::try_from(octets).ok());
    let queue = vhost.read(|topology| topology.queue(&name, 0)).map_err(|refusal| {
        let missing = refusal.code == ReplyCode::NotFound;
        if missing { Fault::not_found(refusal.reply_text()) } else { closed(refusal) }
    })?;
    caller.permit(&vhost.name, Resource::Queue(&name), Kind::Read)?;
    // To its end, even if the client leaves: what was taken must go back.
    let taken = tokio::spawn(take_from(vhost, queue, count, mode));
    let taken = taken.await.map_err(|_| Fault::unavailable("interrupted"))?;
    let shown = taken.iter().map(|(entry, left)| show(entry, *left, always_base64, truncate));
    ok(Value::Array(shown.collect()))
}

/// Takes messages, each with the number of those behind it; then they are settled.
async fn take_from(
    vhost: Arc<Vhost>,
    queue: Arc<Queue>,
    count: i64,
    mode: AckMode,
) -> Vec<(Entry, usize)> {
    let (mut taken, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    let mut counted = Messages::default();
    while (taken.len() as i64) < count {
        match queue.apply(Command::Get { no_ack: mode.no_ack, connection: 0 }) {
            Outcome::Got(Some(entry), left) => {
                counted.count_get(mode.no_ack, entry.redelivered);
                taken.push((entry, left));
            }
            // It is being read from the disk.
            Outcome::Wait if Instant::now() < deadline => sleep(PAUSE).await,
            _ => {
                counted.get_empty += 1;
                break;
            }
        }
    }
    vhost.stats.messages.add(&counted);
    if !mode.no_ack {
        let range = |(entry, _): &(Entry, usize)| SeqRange {
            first: entry.seq,
            last: entry.seq,
            returns: entry.returns,
        };
        queue.apply(Command::Settle(taken.iter().map(range).collect(), mode.verdict));
    }
    taken
}

pub(super) fn show(
    entry: &Entry,
    left: usize,
    always_base64: bool,
    truncate: Option<usize>,
) -> Value {
    let message = &entry.message;
    let body = message.body();
    let part = truncate.and_then(|octets| body.get(..octets)).unwrap_or(body);
    let (payload, encoding) = match str::from_utf8(part) {
        Ok(text) if !always_base64 => (text.to_owned(), "string"),
        _ => (STANDARD.encode(part), "base64"),
    };
    json!({
        "payload_bytes": body.len(),
        "redelivered": entry.redelivered,
        "exchange": String::from_utf8_lossy(message.exchange()),
        "routing_key": String::from_utf8_lossy(message.routing_key()),
        "message_count": left,
        "properties": properties::show(message),
        "payload": payload,
        "payload_encoding": encoding,
    })
}

/// A message goes through a queue of its own.
async fn aliveness(caller: Caller, Path(vhost): Path<String>) -> Reply {
    let vhost = caller.vhost(&vhost)?;
    let queue = queues::probe(&caller, &vhost, PROBE)?;
    send(&caller, &vhost, ["", PROBE], &Map::new(), b"test_message").await?;
    caller.permit(&vhost.name, Resource::Queue(PROBE), Kind::Read)?;
    let mode = AckMode { no_ack: true, verdict: Verdict::Ack };
    let taken = take_from(vhost, queue, 1, mode).await;
    match taken.is_empty() {
        false => ok(json!({"status": "ok"})),
        true => Err(Fault::unavailable("the message did not come back")),
    }
}
