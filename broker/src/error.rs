//! What goes wrong between a peer and the broker, by who must answer for it.

use std::fmt::Display;

use lepus_protocol::method::MethodId;
use lepus_protocol::reply::ReplyCode;

/// A refusal that the peer is told of: channel.close or connection.close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reply code.
    pub code: ReplyCode,
    /// The reply text after the code's name.
    pub text: String,
    /// Whether the whole connection goes, not just the channel.
    pub hard: bool,
    /// The method that caused it, if it is not the one being handled.
    pub method: Option<MethodId>,
}

impl Refusal {
    /// A refusal whose reach is that of its code (0-9-1 §1.2).
    pub fn new(code: ReplyCode, text: impl Display) -> Self {
        Self { code, text: text.to_string(), hard: !code.is_soft(), method: None }
    }

    /// The same, caused by no method.
    pub fn without_method(self) -> Self {
        self.with_method(MethodId::NONE)
    }

    /// The same, caused by `method`.
    pub fn with_method(self, method: MethodId) -> Self {
        Self { method: Some(method), ..self }
    }

    /// The same, closing the whole connection.
    pub fn hard(self) -> Self {
        Self { hard: true, ..self }
    }

    /// The reply text as RabbitMQ writes it: the code's name, a dash, the text.
    pub fn reply_text(&self) -> String {
        if self.text.is_empty() {
            self.code.name().to_owned()
        } else {
            format!("{} - {}", self.code.name(), self.text)
        }
    }

    /// 404 for a queue or exchange.
    pub fn not_found(kind: &str, name: impl Display, vhost: impl Display) -> Self {
        Self::new(ReplyCode::NotFound, format_args!("no {kind} '{name}' in vhost '{vhost}'"))
    }

    /// 403.
    pub fn access(text: impl Display) -> Self {
        Self::new(ReplyCode::AccessRefused, text)
    }

    /// 406.
    pub fn precondition(text: impl Display) -> Self {
        Self::new(ReplyCode::PreconditionFailed, text)
    }
}
