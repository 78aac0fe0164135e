//! Why publishers are held back.

use std::sync::atomic::{AtomicU8, Ordering};

/// A resource that is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Alarm {
    /// More memory is in use than the watermark allows.
    Memory = 1,
    /// Less of the disk is free than `disk_free_limit` asks for.
    Disk = 2,
    /// The message store takes nothing: the disk is full or has failed.
    Store = 4,
}

impl Alarm {
    /// RabbitMQ's name of the resource, or one's own.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Store => "store",
        }
    }
}

/// The alarms that are set.
#[derive(Debug, Default)]
pub struct Alarms(AtomicU8);

impl Alarms {
    /// Whether any is set.
    #[inline]
    pub fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Whether this one is set.
    #[inline]
    pub fn is_set(&self, alarm: Alarm) -> bool {
        self.0.load(Ordering::Relaxed) & alarm as u8 != 0
    }

    /// Sets or clears one; `true` if that is a change.
    pub fn set(&self, alarm: Alarm, on: bool) -> bool {
        let bit = alarm as u8;
        let before = match on {
            true => self.0.fetch_or(bit, Ordering::Relaxed),
            false => self.0.fetch_and(!bit, Ordering::Relaxed),
        };
        (before & bit != 0) != on
    }

    /// What connection.blocked says: RabbitMQ's words, and the store's own.
    pub fn reason(&self) -> &'static str {
        let set = |alarm| self.is_set(alarm);
        match (set(Alarm::Memory), set(Alarm::Disk), set(Alarm::Store)) {
            (true, true, _) => "low on memory & disk",
            (true, false, _) => "low on memory",
            (false, true, _) => "low on disk",
            (false, false, _) => "the message store takes no more messages",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alarm_stands_alone() {
        let alarms = Alarms::default();
        assert!(alarms.set(Alarm::Disk, true) && !alarms.set(Alarm::Disk, true));
        assert!(alarms.any() && !alarms.is_set(Alarm::Memory));
        assert_eq!(alarms.reason(), "low on disk");
        alarms.set(Alarm::Memory, true);
        assert_eq!(alarms.reason(), "low on memory & disk");
        assert!(alarms.set(Alarm::Disk, false) && alarms.set(Alarm::Memory, false));
        assert!(!alarms.any() && !alarms.set(Alarm::Memory, false));
    }
}
