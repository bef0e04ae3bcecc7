//! By what a row is found when programs are compared: the scenario's short name, and whose figures they are.

use serde::{Deserialize, Serialize};

/// The short name of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The scenario, such as `pairs-qos0-64`.
    pub key: String,
    /// Whose figures.
    pub side: Side,
}

/// The programs that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// This broker.
    Rewindmq,
    /// The broker that users have.
    Mosquitto,
    /// The floor: a relay that only forwards.
    Relay,
    /// The floor of the store: a program that only writes a file.
    File,
}

impl Side {
    /// Its name in figures.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rewindmq => "rewindmq",
            Self::Mosquitto => "mosquitto",
            Self::Relay => "relay",
            Self::File => "file",
        }
    }
}
