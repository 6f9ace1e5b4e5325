//! What is on its way to a backend that changes which prepared statements it has.

use crate::message::Message;

/// What a message does to the backend's statements, until its answer says that it has done so.
pub(crate) enum Naming {
    /// With the Parse that had the name before, which has it again if the backend refuses or skips this one.
    Parse(Message, Option<Message>),
    /// Of a statement or a portal; with the Parse that had the name before.
    Close(Message, Option<Message>),
    /// The exchange itself tells it. The client gets nothing of the answer.
    Tell(Message),
    /// The exchange itself takes it back, if it is there, before it tells it.
    TakeBack(Message),
}

impl Naming {
    pub(crate) fn message(&self) -> &Message {
        match self {
            Self::Parse(message, _) | Self::Close(message, _) => message,
            Self::Tell(message) | Self::TakeBack(message) => message,
        }
    }

    pub(crate) fn is_of(&self, name: &str) -> bool {
        self.message().statement() == Some(name)
    }

    pub(crate) fn was_asked(&self) -> bool {
        matches!(self, Self::Parse(..) | Self::Close(..))
    }
}
