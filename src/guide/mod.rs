//! Guides for users, one page a module; the same files are read on their own. Knows no code.

#[doc = include_str!("access.md")]
pub mod access {}

#[doc = include_str!("coming_from_jms.md")]
pub mod coming_from_jms {}

#[doc = include_str!("coming_from_kubemq.md")]
pub mod coming_from_kubemq {}

#[doc = include_str!("coming_from_mosquitto.md")]
pub mod coming_from_mosquitto {}

#[doc = include_str!("guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("operating.md")]
pub mod operating {}

#[doc = include_str!("replay.md")]
pub mod replay {}

#[doc = include_str!("sessions.md")]
pub mod sessions {}
