//! Who a client is: users with their secrets, and the exchange that proves one of them. Knows no packet, no socket, no clock.

mod argon;
mod backends;
mod file;
mod hook;
mod identity;
mod message;
mod mosquitto;
mod pool;
mod scram;
mod secret;
mod stored;
#[cfg(test)]
mod tests;
mod token;
mod users;

pub use argon::ArgonSecret;
pub use backends::{Backends, BackendsError};
pub use file::{UsersFileError, load_users, remove_user, set_user};
pub use hook::{Answer, Hidden, Hook, Question};
pub use identity::Identity;
pub use pool::{Busy, Pool, PoolLimits, Source};
pub use scram::{Exchange, METHOD, Refusal, Step, nonce};
pub use secret::{DEFAULT_ITERATIONS, Secret, SecretError, Work, prepare_name};
pub use token::{Expectations, KeyFault, Keys, Proven, TokenFault, Tokens};
pub use users::{Users, UsersError};
