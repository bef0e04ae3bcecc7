//! Enhanced authentication (section 4.12): the exchange before CONNACK, and again on a living connection.

use std::sync::Arc;

use super::Broker;
use super::client::Client;
use super::connect::Refused;
use crate::auth::{Exchange, Identity, METHOD, Step, Users, nonce};
use crate::codec::{Auth, Connect, Packet};
use crate::metrics::{Backend, RefusalReason};
use crate::session::Fault;
use crate::types::{ReasonCode, Timestamp};

/// An exchange that goes before CONNACK.
#[derive(Debug)]
pub struct Introduction {
    exchange: Exchange,
    users: Arc<Users>,
}

/// What comes after a message of the client.
#[derive(Debug)]
pub enum Introduced {
    /// This is to be sent, and answered.
    Continue(Box<Auth>),
    /// The client is who it says.
    Done(Authenticated),
}

/// Who a client has proved to be.
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub(super) identity: Identity,
    /// The last message of the server, for CONNACK.
    pub(super) data: Vec<u8>,
    /// When that stops being true.
    pub(super) until: Option<Timestamp>,
}

impl Authenticated {
    /// Without an exchange.
    pub(super) fn new(identity: Identity, until: Option<Timestamp>) -> Self {
        let data = Vec::new();
        Self { identity, data, until }
    }
}

/// What a connection with an Authentication Method knows about it.
#[derive(Debug)]
pub(super) struct Credentials {
    pub identity: Identity,
    /// A re-authentication that is under way.
    again: Option<Introduction>,
}

impl Credentials {
    pub fn new(identity: Identity) -> Self {
        let again = None;
        Self { identity, again }
    }
}

impl Broker {
    /// Begins the exchange that a CONNECT asks for; nothing if it asks for none.
    ///
    /// # Errors
    /// If the method is not offered, or the first message is refused at once.
    pub fn introduce(
        &self,
        connect: &Connect,
        now: Timestamp,
    ) -> Result<Option<(Introduction, Box<Auth>)>, Box<Refused>> {
        let Some(method) = &connect.authentication_method else {
            return Ok(None);
        };
        let mut introduction = self.new_introduction(method, now).map_err(refused)?;
        let data = connect.authentication_data.as_deref();
        match self.step(&mut introduction, data, now).map_err(refused)? {
            Introduced::Continue(auth) => Ok(Some((introduction, auth))),
            // SCRAM takes two messages of the client; this could only be another method.
            Introduced::Done(_) => Err(refused(Fault::protocol("the authentication ended too early"))),
        }
    }

    /// Takes what a client sends between CONNECT and CONNACK.
    ///
    /// # Errors
    /// If that is something else than the exchange goes on with, or the client is not let in.
    pub fn go_on(
        &self,
        introduction: &mut Introduction,
        packet: Packet<'_>,
        now: Timestamp,
    ) -> Result<Introduced, Box<Refused>> {
        let Packet::Auth(auth) = packet else {
            // [MQTT-3.1.2-30]
            return Err(refused(Fault::protocol(
                "another packet than AUTH during the authentication",
            )));
        };
        self.continued(introduction, &auth, now).map_err(refused)
    }

    /// Takes an AUTH of a client that is connected [MQTT-4.12.1-1].
    pub(super) fn authenticate_again(&self, client: &mut Client, auth: &Auth, now: Timestamp) -> Result<(), Fault> {
        let Some(credentials) = &mut client.credentials else {
            return Err(Fault::protocol("AUTH without an authentication method in CONNECT"));
        };
        let step = match (auth.reason, credentials.again.take()) {
            (ReasonCode::ReAuthenticate, None) => {
                check_method(auth)?;
                let mut introduction = self.new_introduction(METHOD, now)?;
                let step = self.step(&mut introduction, auth.data.as_deref(), now)?;
                credentials.again = Some(introduction);
                step
            }
            (ReasonCode::ContinueAuthentication, Some(mut introduction)) => {
                let step = self.continued(&mut introduction, auth, now)?;
                credentials.again = Some(introduction);
                step
            }
            _ => return Err(Fault::protocol("an AUTH that the authentication does not wait for")),
        };
        let answer = match step {
            Introduced::Continue(auth) => *auth,
            Introduced::Done(done) if done.identity == credentials.identity => {
                credentials.again = None;
                tracing::info!(
                    client = client.client_id(),
                    user = done.identity.as_str(),
                    "authenticated again"
                );
                answer(ReasonCode::Success, done.data)
            }
            Introduced::Done(_) => {
                return Err(Fault::new(
                    ReasonCode::NotAuthorized,
                    "another user than the one who connected",
                ));
            }
        };
        client.write(Packet::Auth(answer));
        Ok(())
    }

    fn new_introduction(&self, method: &str, now: Timestamp) -> Result<Introduction, Fault> {
        let users = self.backends.load().users.clone();
        let unknown = |what| Fault::new(ReasonCode::BadAuthenticationMethod, what);
        let users = users.ok_or(unknown("this broker offers no enhanced authentication"))?;
        if method != METHOD {
            return Err(unknown("the authentication method here is SCRAM-SHA-256"));
        }
        let exchange = Exchange::new(now.saturating_add(self.config().session.connect_timeout));
        Ok(Introduction { exchange, users })
    }

    fn continued(&self, introduction: &mut Introduction, auth: &Auth, now: Timestamp) -> Result<Introduced, Fault> {
        check_method(auth)?;
        if auth.reason != ReasonCode::ContinueAuthentication {
            // [MQTT-4.12.0-3]
            return Err(Fault::protocol("an AUTH that does not continue the authentication"));
        }
        self.step(introduction, auth.data.as_deref(), now)
    }

    fn step(&self, introduction: &mut Introduction, data: Option<&[u8]>, now: Timestamp) -> Result<Introduced, Fault> {
        let data = data.ok_or(Fault::protocol("SCRAM-SHA-256 without Authentication Data"))?;
        let mut random = [0; 18];
        getrandom::fill(&mut random).map_err(|fault| {
            tracing::error!(%fault, "no random bytes for an authentication");
            Fault::new(ReasonCode::ServerUnavailable, "no nonce could be drawn")
        })?;
        let Introduction { exchange, users } = introduction;
        match exchange.handle_data(data, users, &nonce(random), now) {
            Step::Continue(data) => Ok(Introduced::Continue(Box::new(answer(
                ReasonCode::ContinueAuthentication,
                data,
            )))),
            Step::Done(identity, data) => {
                self.metrics.authentications.of(Backend::Scram).increment(1);
                let until = None;
                Ok(Introduced::Done(Authenticated { identity, data, until }))
            }
            Step::Refused(refusal) => {
                self.metrics.authentications_refused.of(Backend::Scram).increment(1);
                Err(Fault::new(ReasonCode::NotAuthorized, refusal.0))
            }
        }
    }
}

/// [MQTT-4.12.0-5]: the method of CONNECT is that of every AUTH.
fn check_method(auth: &Auth) -> Result<(), Fault> {
    match auth.method.as_deref() {
        Some(METHOD) => Ok(()),
        _ => Err(Fault::protocol("another authentication method than in CONNECT")),
    }
}

fn answer(reason: ReasonCode, data: Vec<u8>) -> Auth {
    Auth {
        reason,
        method: Some(METHOD.to_owned()),
        data: Some(data),
        reason_string: None,
        user_properties: Vec::new(),
    }
}

fn refused(fault: Fault) -> Box<Refused> {
    let reason = match fault.reason {
        ReasonCode::ProtocolError => RefusalReason::Protocol,
        _ => RefusalReason::Authentication,
    };
    Box::new(Refused::new(fault.reason, reason, &fault.what))
}
