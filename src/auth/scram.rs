//! The server's side of one SCRAM-SHA-256 exchange (RFC 5802, RFC 7677): data in, data out. Time and chance are arguments.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::message::{ClientFinal, ClientFirst};
use super::secret::{Secret, prepare_name};
use super::{Identity, Users};
use crate::types::Timestamp;

/// The Authentication Method of CONNECT and AUTH.
pub const METHOD: &str = "SCRAM-SHA-256";

/// One exchange, from the client's first message to its end.
#[derive(Debug)]
pub struct Exchange {
    deadline: Timestamp,
    state: State,
}

#[derive(Debug)]
enum State {
    First,
    Last(Box<Challenge>),
    Over,
}

/// What the client has to answer.
#[derive(Debug)]
struct Challenge {
    /// The header of the first message in base64.
    header: String,
    /// Both nonces.
    nonce: String,
    /// Both first messages, as they are signed.
    exchanged: String,
    /// Whose password is to be proved; nobody's if there is no such user, whatever the proof.
    identity: Option<Identity>,
    secret: Secret,
}

/// What comes after a message of the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The client is to answer this.
    Continue(Vec<u8>),
    /// The client is who it says; this shows it that the server has its secret.
    Done(Identity, Vec<u8>),
    /// The exchange is over.
    Refused(Refusal),
}

/// Why an exchange failed; fit to be told, since it says nothing about who is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub &'static str);

impl Exchange {
    /// An exchange that must be over by `deadline`.
    pub fn new(deadline: Timestamp) -> Self {
        let state = State::First;
        Self { deadline, state }
    }

    /// Takes the client's next message. `nonce` is what the server draws for this exchange; see [`nonce`].
    pub fn handle_data(&mut self, data: &[u8], users: &Users, nonce: &str, now: Timestamp) -> Step {
        let state = std::mem::replace(&mut self.state, State::Over);
        if now > self.deadline {
            return Step::Refused(Refusal("the authentication took too long"));
        }
        let step = match state {
            State::First => self.challenge(data, users, nonce),
            State::Last(challenge) => challenge.judge(data),
            State::Over => Err("the authentication is over"),
        };
        step.unwrap_or_else(|why| Step::Refused(Refusal(why)))
    }

    /// Whose password the client's last message can prove.
    #[cfg(test)]
    pub(super) fn proves(&self) -> Option<&str> {
        match &self.state {
            State::Last(challenge) => challenge.identity.as_ref().map(Identity::as_str),
            State::First | State::Over => None,
        }
    }

    fn challenge(&mut self, data: &[u8], users: &Users, nonce: &str) -> Result<Step, &'static str> {
        let first = ClientFirst::parse(data)?;
        let name = prepare_name(&first.name).map_err(|_| WRONG)?;
        let known = users.find(&name);
        // Nobody acts for another here; who asks for that learns nothing more.
        let is_own = first.authorization.as_ref().is_none_or(|other| *other == first.name);
        let secret = known.cloned().unwrap_or_else(|| users.nobody(&name));
        let nonce = format!("{}{nonce}", first.nonce);
        let answer = format!("r={nonce},s={},i={}", secret.salt(), secret.iterations());
        self.state = State::Last(Box::new(Challenge {
            header: STANDARD.encode(first.header),
            exchanged: format!("{},{answer},", first.bare),
            identity: (known.is_some() && is_own).then(|| Identity::from(&*name)),
            nonce,
            secret,
        }));
        Ok(Step::Continue(answer.into_bytes()))
    }
}

impl Challenge {
    fn judge(self, data: &[u8]) -> Result<Step, &'static str> {
        let last = ClientFinal::parse(data)?;
        if last.nonce != self.nonce {
            return Err("the nonce is not the one of this exchange");
        }
        if last.header != self.header {
            return Err("the channel binding is not what the first message said");
        }
        let exchanged = [self.exchanged.as_bytes(), last.without_proof.as_bytes()];
        let accepted = self.secret.accepts(&last.proof, &exchanged);
        let identity = self.identity.filter(|_| accepted).ok_or(WRONG)?;
        let signature = format!("v={}", self.secret.server_signature(&exchanged));
        Ok(Step::Done(identity, signature.into_bytes()))
    }
}

/// The server's nonce from random bytes.
pub fn nonce(random: [u8; 18]) -> String {
    STANDARD.encode(random)
}

/// One text for all that concerns name and password.
const WRONG: &str = "the user or the password is wrong";
