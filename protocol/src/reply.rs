//! Reply codes (0-9-1 §1.2) and the name that RabbitMQ puts before each reply text.

/// Why a channel or connection is closed, or a message returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum ReplyCode {
    /// The peer closed in good order.
    Success = 200,
    /// A message was larger than allowed.
    ContentTooLarge = 311,
    /// A mandatory message reached no queue.
    NoRoute = 312,
    /// An operator or the broker's own shutdown closed the connection.
    ConnectionForced = 320,
    /// A virtual host that does not exist, or one that can't be used.
    InvalidPath = 402,
    /// The user may not do that.
    AccessRefused = 403,
    /// The exchange or queue does not exist.
    NotFound = 404,
    /// Another connection has exclusive use of it.
    ResourceLocked = 405,
    /// The state or the arguments don't allow it.
    PreconditionFailed = 406,
    /// The byte stream is not a sequence of frames.
    FrameError = 501,
    /// A frame's fields hold values that can't be.
    SyntaxError = 502,
    /// A method that may not come at this point.
    CommandInvalid = 503,
    /// The channel is not open, or is open already.
    ChannelError = 504,
    /// A frame that may not come at this point.
    UnexpectedFrame = 505,
    /// The broker lacks the means.
    ResourceError = 506,
    /// Not allowed in this configuration.
    NotAllowed = 530,
    /// Not implemented.
    NotImplemented = 540,
    /// The broker's own fault.
    InternalError = 541,
}

impl ReplyCode {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The constant's name, as RabbitMQ's reply texts begin with it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "REPLY_SUCCESS",
            Self::ContentTooLarge => "CONTENT_TOO_LARGE",
            Self::NoRoute => "NO_ROUTE",
            Self::ConnectionForced => "CONNECTION_FORCED",
            Self::InvalidPath => "INVALID_PATH",
            Self::AccessRefused => "ACCESS_REFUSED",
            Self::NotFound => "NOT_FOUND",
            Self::ResourceLocked => "RESOURCE_LOCKED",
            Self::PreconditionFailed => "PRECONDITION_FAILED",
            Self::FrameError => "FRAME_ERROR",
            Self::SyntaxError => "SYNTAX_ERROR",
            Self::CommandInvalid => "COMMAND_INVALID",
            Self::ChannelError => "CHANNEL_ERROR",
            Self::UnexpectedFrame => "UNEXPECTED_FRAME",
            Self::ResourceError => "RESOURCE_ERROR",
            Self::NotAllowed => "NOT_ALLOWED",
            Self::NotImplemented => "NOT_IMPLEMENTED",
            Self::InternalError => "INTERNAL_ERROR",
        }
    }

    /// Soft errors close the channel, hard ones the connection (0-9-1 §1.2).
    pub fn is_soft(self) -> bool {
        matches!(
            self,
            Self::ContentTooLarge
                | Self::NoRoute
                | Self::AccessRefused
                | Self::NotFound
                | Self::ResourceLocked
                | Self::PreconditionFailed
        )
    }
}
