//! Frames as bytes, and the method structs they carry.

use amq_protocol::frame::WriteContext;
use amq_protocol::protocol::basic::{AMQPProperties, gen_properties};
use amq_protocol::protocol::{
    AMQPClass, access, basic, channel, confirm, connection, exchange, gen_class, parse_class,
    queue, tx,
};

/// The frame type of a method.
pub const METHOD: u8 = 1;
/// The frame type of a content header.
pub const HEADER: u8 = 2;
/// The frame type of a content body.
pub const BODY: u8 = 3;
/// The frame type of a heartbeat.
pub const HEARTBEAT: u8 = 8;

/// One frame as it came from the broker.
#[derive(Clone, PartialEq)]
pub struct Frame {
    /// The type octet.
    pub kind: u8,
    /// The channel number.
    pub channel: u16,
    /// Everything between the size and the end marker.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The method in a method frame.
    #[must_use]
    pub fn method(&self) -> Option<AMQPClass> {
        if self.kind != METHOD {
            return None;
        }
        parse_class(&self.payload[..]).ok().map(|(_, class)| class)
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Frame { kind, channel, payload } = self;
        match self.method() {
            Some(method) => write!(f, "[channel {channel}] {method:?}"),
            None if payload.len() > 100 => {
                write!(f, "[channel {channel}] type {kind}, {} bytes", payload.len())
            }
            None => write!(f, "[channel {channel}] type {kind}, \"{}\"", payload.escape_ascii()),
        }
    }
}

/// The bytes of a frame of any type, with any payload.
#[must_use]
pub fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    bytes.push(0xCE);
    bytes
}

/// The bytes of a method frame, from class id, method id and the arguments' bytes.
#[must_use]
pub fn method_frame(channel: u16, class_id: u16, method_id: u16, arguments: &[u8]) -> Vec<u8> {
    let mut payload = class_id.to_be_bytes().to_vec();
    payload.extend(method_id.to_be_bytes());
    payload.extend(arguments);
    frame(METHOD, channel, &payload)
}

/// The bytes of a content header frame for a body of `size` bytes.
#[must_use]
pub fn header_frame(channel: u16, size: u64, properties: &AMQPProperties) -> Vec<u8> {
    let mut payload = vec![0, 60, 0, 0];
    payload.extend(size.to_be_bytes());
    let context = gen_properties(properties)(WriteContext::from(Vec::new())).unwrap();
    payload.extend(context.into_inner().0);
    frame(HEADER, channel, &payload)
}

/// The bytes of a message: its method, its header and its body in one frame.
#[must_use]
pub fn message_bytes(
    method: basic::Publish,
    properties: &AMQPProperties,
    body: impl AsRef<[u8]>,
) -> Vec<u8> {
    let body = body.as_ref();
    let header = header_frame(1, body.len() as u64, properties);
    [method.bytes(1), header, body_frame(1, body)].concat()
}

/// The bytes of a content body frame.
#[must_use]
pub fn body_frame(channel: u16, body: &[u8]) -> Vec<u8> {
    frame(BODY, channel, body)
}

/// A method of AMQP 0-9-1, as a struct of amq-protocol.
pub trait Method: Sized {
    /// The method among all methods.
    fn wrap(self) -> AMQPClass;
    /// This method, if it is the one.
    fn find(class: AMQPClass) -> Option<Self>;
    /// The bytes of its frame.
    fn bytes(self, channel: u16) -> Vec<u8> {
        encode(channel, &self.wrap())
    }
}

impl Method for AMQPClass {
    fn wrap(self) -> AMQPClass {
        self
    }
    fn find(class: AMQPClass) -> Option<Self> {
        Some(class)
    }
}

/// The bytes of a method's frame.
pub(crate) fn encode(channel: u16, class: &AMQPClass) -> Vec<u8> {
    let context = gen_class(class)(WriteContext::from(Vec::new())).unwrap();
    frame(METHOD, channel, &context.into_inner().0)
}

macro_rules! methods {
    ($($class:ident $module:ident: $($name:ident)+;)+) => {
        $($(impl Method for $module::$name {
            fn wrap(self) -> AMQPClass {
                AMQPClass::$class($module::AMQPMethod::$name(self))
            }
            fn find(class: AMQPClass) -> Option<Self> {
                match class {
                    AMQPClass::$class($module::AMQPMethod::$name(it)) => Some(it),
                    _ => None,
                }
            }
        })+)+
    };
}

methods! {
    Connection connection: Start StartOk Secure SecureOk Tune TuneOk Open OpenOk Close CloseOk
        Blocked Unblocked UpdateSecret UpdateSecretOk;
    Channel channel: Open OpenOk Flow FlowOk Close CloseOk;
    Access access: Request RequestOk;
    Exchange exchange: Declare DeclareOk Delete DeleteOk Bind BindOk Unbind UnbindOk;
    Queue queue: Declare DeclareOk Bind BindOk Unbind UnbindOk Purge PurgeOk Delete DeleteOk;
    Basic basic: Qos QosOk Consume ConsumeOk Cancel CancelOk Publish Return Deliver Get GetOk GetEmpty
        Ack Nack Reject RecoverAsync Recover RecoverOk;
    Tx tx: Select SelectOk Commit CommitOk Rollback RollbackOk;
    Confirm confirm: Select SelectOk;
}
