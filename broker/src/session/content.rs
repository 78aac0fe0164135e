//! Contents as they arrive: basic.publish, a header frame, body frames.

use lepus_protocol::content::{BASIC_CLASS, ContentHeader};
use lepus_protocol::method::{MethodId, Publish};
use lepus_protocol::properties::{self, Properties};
use lepus_protocol::reply::ReplyCode;
use lepus_protocol::table;

use super::Session;
use super::channel::{Content, Marks};
use super::reply_to::REPLY_TO;
use crate::error::Refusal;
use crate::message::Builder;
use crate::out::Out;

/// basic.publish's delivery mode for messages that survive a restart.
const PERSISTENT: u8 = 2;

impl Session {
    /// basic.publish: the content follows.
    pub(super) fn publish(&mut self, number: u16, publish: &Publish<'_>) -> Result<(), Refusal> {
        if publish.immediate {
            return Err(Refusal::new(ReplyCode::NotImplemented, "immediate=true"));
        }
        let now = self.now;
        let Some(channel) = self.channel_mut(number) else { return Ok(()) };
        channel.builder.begin(now, publish.route);
        channel.content = Content::Header { mandatory: publish.mandatory };
        Ok(())
    }

    /// A content header frame.
    pub(super) fn content_header(
        &mut self,
        number: u16,
        payload: &[u8],
        out: &mut Out,
    ) -> Result<(), Refusal> {
        self.has_published = true;
        let max = self.peer.node.max_message_size();
        let Some(channel) = self.channel_mut(number) else { return Err(non_method_frame()) };
        if channel.closing {
            return Ok(());
        }
        let Content::Header { mandatory } = channel.content else {
            return Err(unexpected(channel.content));
        };
        let header = ContentHeader::decode(payload).map_err(|_| internal())?;
        check_class(&header)?;
        let found = Properties::decode(header.properties).map_err(|_| internal())?;
        if header.body_size > max {
            channel.content = Content::None;
            let size = header.body_size;
            let text = format_args!("message size {size} is larger than configured max size {max}");
            return Err(Refusal::precondition(text));
        }
        let marks = marks(&found);
        let persistent = found.delivery_mode == Some(PERSISTENT);
        if found.reply_to == Some(REPLY_TO.as_bytes()) {
            let Some(consumer) = &channel.reply_consumer else {
                channel.content = Content::None;
                return Err(Refusal::precondition("fast reply consumer does not exist"));
            };
            let rewritten = properties::replace_reply_to(header.properties, &consumer.key);
            let rewritten = rewritten.map_err(|_| internal())?;
            channel.builder.header(&rewritten, header.body_size, persistent);
        } else {
            channel.builder.header(header.properties, header.body_size, persistent);
        }
        channel.content = Content::Body { mandatory, marks };
        if header.body_size == 0 {
            // There will be no body frame.
            return self.content_body(number, &[], out);
        }
        Ok(())
    }

    /// The builder of the body that is arriving on a channel.
    pub fn open_body(&mut self, number: u16) -> Option<&mut Builder> {
        let channel = self.channel_mut(number)?;
        match channel.content {
            Content::Body { .. } if !channel.closing => Some(&mut channel.builder),
            _ => None,
        }
    }

    /// Octets of a body frame; the last ones make the message whole.
    pub(super) fn content_body(
        &mut self,
        number: u16,
        chunk: &[u8],
        out: &mut Out,
    ) -> Result<(), Refusal> {
        self.has_published = true;
        let Some(channel) = self.channel_mut(number) else { return Err(non_method_frame()) };
        if channel.closing {
            return Ok(());
        }
        let Content::Body { mandatory, marks } = channel.content else {
            return Err(unexpected(channel.content));
        };
        if !channel.builder.body(chunk) {
            let text = "content body is longer than its header announced";
            return Err(Refusal::new(ReplyCode::FrameError, text));
        }
        if !channel.builder.is_whole() {
            return Ok(());
        }
        channel.content = Content::None;
        self.route_message(number, mandatory, marks, out)
    }
}

fn marks(found: &Properties<'_>) -> Marks {
    let extra = |headers| table::has_field(headers, b"CC") || table::has_field(headers, b"BCC");
    Marks {
        headers: found.headers.is_some(),
        extra_keys: found.headers.is_some_and(extra),
        validate: found.expiration.is_some()
            || found.user_id.is_some()
            || !matches!(found.delivery_mode, None | Some(1 | 2)),
    }
}

fn check_class(header: &ContentHeader<'_>) -> Result<(), Refusal> {
    if header.weight != 0 {
        return Err(unexpected(Content::Header { mandatory: false }));
    }
    if header.class == BASIC_CLASS {
        return Ok(());
    }
    let class = header.class;
    let text = format_args!(
        "expected content header for class {BASIC_CLASS}, got one for class {class} instead"
    );
    Err(Refusal::new(ReplyCode::UnexpectedFrame, text))
}

/// A header or body frame at a point where something else must come.
fn unexpected(content: Content) -> Refusal {
    let text = match content {
        Content::None => return non_method_frame(),
        Content::Header { .. } => {
            "expected content header for class 60, got non content header frame instead"
        }
        Content::Body { .. } => "expected content body, got non content body frame instead",
    };
    Refusal::new(ReplyCode::UnexpectedFrame, text).with_method(MethodId::PUBLISH)
}

fn non_method_frame() -> Refusal {
    let text = "expected method frame, got non method frame instead";
    Refusal::new(ReplyCode::UnexpectedFrame, text).without_method()
}

/// Properties that can't be read: RabbitMQ's channel process crashes on them and says this.
fn internal() -> Refusal {
    Refusal::new(ReplyCode::InternalError, "").without_method()
}
