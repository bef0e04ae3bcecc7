//! An HTTP service that says who a client is: one POST for each client, and a memory of its answers. Blocks: for threads of
//! its own.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::identity::Identity;
use super::pool::Pool;
use super::secret::prepare_name;
use crate::types::Timestamp;

/// The service.
pub struct Hook {
    agent: ureq::Agent,
    url: String,
    /// Its requests; as many at a time as it has threads.
    pub pool: Pool,
    memory: Mutex<Memory>,
    ttl: Duration,
    /// Makes keys of the memory that say nothing about passwords.
    random: [u8; 32],
}

/// What the service is asked.
#[derive(Debug, Serialize)]
pub struct Question {
    /// The user name of CONNECT.
    pub username: Option<String>,
    /// The password, if it is text.
    pub password: Option<Hidden>,
    /// The password in base64, if it is no text.
    pub password_base64: Option<Hidden>,
    /// The client identifier; may be empty.
    pub client_id: String,
    /// The client's IP address, or `unix`.
    pub address: String,
    /// The name of the listener.
    pub listener: String,
    /// The name that the client's certificate proves.
    pub certificate: Option<String>,
}

/// Text that never gets into a log.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Hidden(String);

/// What the service says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The client is this user.
    Allow(Identity),
    /// It is not let in.
    Deny,
}

#[derive(Deserialize)]
struct Reply {
    allow: bool,
    username: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    claims: BTreeMap<String, String>,
}

/// Answers by what was asked, the oldest first.
struct Memory {
    most: usize,
    answers: HashMap<[u8; 32], (Answer, Timestamp)>,
    order: VecDeque<[u8; 32]>,
}

impl Question {
    /// Takes the password in the form that fits.
    pub fn with_password(mut self, password: Option<Vec<u8>>) -> Self {
        match password.map(String::from_utf8) {
            None => {}
            Some(Ok(text)) => self.password = Some(Hidden(text)),
            Some(Err(bytes)) => self.password_base64 = Some(Hidden(STANDARD.encode(bytes.as_bytes()))),
        }
        self
    }
}

impl Hook {
    pub(super) fn new(
        agent: ureq::Agent,
        url: String,
        pool: Pool,
        memory: (Duration, usize),
        random: [u8; 32],
    ) -> Self {
        let (ttl, most) = memory;
        Self {
            agent,
            url,
            pool,
            memory: Mutex::new(Memory {
                most,
                answers: HashMap::new(),
                order: VecDeque::new(),
            }),
            ttl,
            random,
        }
    }

    /// What the service said to the same question not long ago.
    pub fn remembered(&self, question: &Question, now: Timestamp) -> Option<Answer> {
        let key = self.key(question);
        let memory = self.memory();
        let (answer, until) = memory.answers.get(&key)?;
        (now < *until).then(|| answer.clone())
    }

    /// Asks the service. Takes as long as it does.
    ///
    /// # Errors
    /// Why there is no answer, for the log.
    pub fn ask(&self, question: &Question, now: Timestamp) -> Result<Answer, String> {
        let mut response = self
            .agent
            .post(&self.url)
            .send_json(question)
            .map_err(|fault| fault.to_string())?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(format!("the service answered with status {status}, not 200"));
        }
        let body = response.body_mut().with_config().limit(MOST_REPLY_BYTES).read_to_vec();
        let reply = serde_json::from_slice(&body.map_err(|fault| fault.to_string())?);
        let reply: Reply = reply.map_err(|fault| format!("the service's answer is not understood: {fault}"))?;
        let answer = reply.answer(question)?;
        if !self.ttl.is_zero() {
            let until = now.saturating_add(self.ttl);
            self.memory().put(self.key(question), answer.clone(), until, now);
        }
        Ok(answer)
    }

    fn key(&self, question: &Question) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.random).expect("HMAC takes keys of any length");
        mac.update(&serde_json::to_vec(question).expect("texts are JSON"));
        mac.finalize().into_bytes().into()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reply {
    fn answer(self, question: &Question) -> Result<Answer, String> {
        if !self.allow {
            return Ok(Answer::Deny);
        }
        let name = self.username.as_deref().or(question.username.as_deref());
        let name = name.ok_or("the service allows a client without a user name and names none")?;
        let name = prepare_name(name).map_err(|fault| fault.to_string())?;
        Ok(Answer::Allow(Identity::new(&name, self.groups, self.claims)))
    }
}

impl Memory {
    fn put(&mut self, key: [u8; 32], answer: Answer, until: Timestamp, now: Timestamp) {
        // What is over goes first; all stay equally long, so the oldest are.
        while let Some(oldest) = self.order.front() {
            let is_over = self.answers.get(oldest).is_none_or(|(_, until)| *until <= now);
            if !is_over && self.order.len() < self.most {
                break;
            }
            self.answers.remove(oldest);
            self.order.pop_front();
        }
        if self.answers.insert(key, (answer, until)).is_none() {
            self.order.push_back(key);
        }
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(..)")
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Names, groups and claims of one user.
const MOST_REPLY_BYTES: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_forgets_what_is_over_and_the_oldest() {
        let mut memory = Memory {
            most: 2,
            answers: HashMap::new(),
            order: VecDeque::new(),
        };
        let keys = |memory: &Memory| memory.order.iter().map(|key| key[0]).collect::<Vec<_>>();
        for number in 1..=3 {
            memory.put([number; 32], Answer::Deny, Timestamp(10), Timestamp(0));
        }
        assert_eq!((keys(&memory), memory.answers.len()), (vec![2, 3], 2));
        memory.put([3; 32], Answer::Deny, Timestamp(10), Timestamp(0));
        memory.put([4; 32], Answer::Deny, Timestamp(20), Timestamp(10));
        assert_eq!((keys(&memory), memory.answers.len()), (vec![4], 1));
    }
}
