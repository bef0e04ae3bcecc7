//! What a CONNECT without an Authentication Method proves: its user name and password, shown to the backends, and the
//! certificate of its transport. The order is that of the README.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::Broker;
use super::arrival::{Arrival, Peer};
use super::authenticate::Authenticated;
use super::connect::Refused;
use crate::auth::{Answer, Backends, Busy, Hook, Identity, Pool, PoolLimits, Question, Source, Users};
use crate::codec::Connect;
use crate::config::{self, TokenUserName};
use crate::metrics::{Backend, Label, Metrics, RefusalReason};
use crate::types::{ReasonCode, Timestamp};

/// What one backend says of a client.
pub(super) struct Verdict {
    pub backend: Backend,
    /// Who it is and until when that holds; or what is wrong, for the log alone.
    pub proved: Result<(Identity, Option<Timestamp>), String>,
}

/// The threads that check passwords.
pub(super) fn new_pool(config: &config::Auth, metrics: &Metrics) -> Pool {
    let limits = PoolLimits {
        threads: config.threads,
        queued: config.max_queued,
        queued_per_source: config.max_queued_per_address,
    };
    Pool::new("password", limits, metrics.authentication_queue.clone())
}

impl Broker {
    /// Replaces what clients can prove themselves by. Who is connected stays so.
    pub fn set_backends(&self, backends: Backends) {
        self.backends.store(Arc::new(backends));
    }

    /// Who the client proves to be by what its CONNECT and its transport bring; nobody, if it brings nothing. Takes as long
    /// as the backends do, which others do not wait for.
    ///
    /// # Errors
    /// If what it brings is wrong, not enough, or cannot be looked at now.
    pub async fn log_in(&self, connect: &Connect, arrival: &Arrival) -> Result<Option<Authenticated>, Box<Refused>> {
        let backends = self.backends.load_full();
        let brings_password = connect.username.is_some() || connect.password.is_some();
        let certificate = arrival.certificate.clone();
        if !brings_password || !backends.take_passwords() {
            let needs_more = certificate.is_some() && self.config().auth.certificate_needs_password;
            if needs_more {
                self.metrics
                    .authentications_refused
                    .of(Backend::Certificate)
                    .increment(1);
                return Err(denied(
                    ReasonCode::NotAuthorized,
                    "a password is required in addition to the certificate",
                ));
            }
            if certificate.is_some() {
                self.metrics.authentications.of(Backend::Certificate).increment(1);
            }
            return Ok(certificate.map(|identity| Authenticated::new(identity, None)));
        }
        let begun = Instant::now();
        let verdict = self.judge(backends, connect, arrival).await?;
        self.metrics
            .authentication_seconds
            .record(begun.elapsed().as_secs_f64());
        let (identity, until) = self.count_verdict(verdict, connect, arrival)?;
        let authenticated = Authenticated::new(identity, until);
        check_certificate(&authenticated, arrival)?;
        Ok(Some(authenticated))
    }

    /// Counts and logs what came of it.
    fn count_verdict(
        &self,
        verdict: Verdict,
        connect: &Connect,
        arrival: &Arrival,
    ) -> Result<(Identity, Option<Timestamp>), Box<Refused>> {
        let backend = verdict.backend;
        let why = match verdict.proved {
            Ok(proved) => {
                self.metrics.authentications.of(backend).increment(1);
                return Ok(proved);
            }
            Err(why) => why,
        };
        self.metrics.authentications_refused.of(backend).increment(1);
        if self.floods.authentication(backend).admits(self.clock.now()) {
            tracing::info!(
                client = connect.client_id,
                address = %arrival.peer,
                user = connect.username,
                listener = arrival.gate.listener,
                backend = backend.text(),
                reason = why,
                "authentication refused"
            );
        }
        // The client learns nothing about who is there.
        Err(denied(
            ReasonCode::BadUserNameOrPassword,
            "the user or the password is wrong",
        ))
    }

    /// Finds the backend that decides, and lets it. A password that looks like a token is one, where tokens are taken.
    async fn judge(
        &self,
        backends: Arc<Backends>,
        connect: &Connect,
        arrival: &Arrival,
    ) -> Result<Verdict, Box<Refused>> {
        let name = connect.username.clone().unwrap_or_default();
        let password = connect.password.clone().unwrap_or_default();
        let source = Source::from(address(arrival));
        if backends.tokens.is_some() && looks_like_token(&password) {
            let (now, user_name) = (self.clock.now(), self.config().auth.jwt.user_name);
            let work = move || check_token(&backends, &name, &password, user_name, now);
            return self.in_pool(source, work).await;
        }
        let knows = |users: &Arc<Users>| users.has(&name);
        if let Some(hook) = &backends.hook
            && !backends.users.as_ref().is_some_and(knows)
        {
            return self.ask_hook(hook.clone(), connect, arrival).await;
        }
        let work = move || Verdict {
            backend: Backend::Users,
            proved: backends
                .users
                .as_ref()
                .and_then(|users| users.check_password(&name, &password))
                .map(|identity| (identity, None))
                .ok_or_else(|| "the user or the password is wrong".to_owned()),
        };
        self.in_pool(source, work).await
    }

    async fn ask_hook(&self, hook: Arc<Hook>, connect: &Connect, arrival: &Arrival) -> Result<Verdict, Box<Refused>> {
        let now = self.clock.now();
        let question = question(connect, arrival);
        let answer = match hook.remembered(&question, now) {
            Some(answer) => Ok(answer),
            None => {
                let asking = hook.clone();
                let work = move || asking.ask(&question, now);
                let waiting = hook.pool.run(Source::from(address(arrival)), work);
                waiting
                    .map_err(|busy| self.too_busy(busy))?
                    .await
                    .unwrap_or_else(|_| Err("no answer".to_owned()))
            }
        };
        let proved = match answer {
            Ok(Answer::Allow(identity)) => Ok((identity, None)),
            Ok(Answer::Deny) => Err("the service denies it".to_owned()),
            Err(why) => {
                self.metrics.authentication_failures.increment(1);
                if self.floods.service().admits(now) {
                    tracing::warn!(
                            client = connect.client_id,
                            address = %arrival.peer,
                            user = connect.username,
                            reason = why,
                            "the HTTP service for authentication did not say who a client is; it is refused"
                    );
                }
                let what = "the service that knows the users cannot be asked now";
                return Err(denied(ReasonCode::ServerUnavailable, what));
            }
        };
        let backend = Backend::Http;
        Ok(Verdict { backend, proved })
    }

    async fn in_pool<T: Send + 'static>(
        &self,
        source: Source,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Box<Refused>> {
        let waiting = self.passwords.run(source, work).map_err(|busy| self.too_busy(busy))?;
        waiting.await.map_err(|_| {
            denied(
                ReasonCode::ServerUnavailable,
                "the password could not be checked; the broker's log may tell why",
            )
        })
    }

    pub(super) fn too_busy(&self, busy: Busy) -> Box<Refused> {
        self.metrics.authentications_busy.increment(1);
        match busy {
            Busy::Source => denied(
                ReasonCode::QuotaExceeded,
                "as many clients of this address as allowed wait for their authentication",
            ),
            Busy::Pool => denied(
                ReasonCode::ServerBusy,
                "as many clients as allowed wait for their authentication",
            ),
        }
    }
}

fn question(connect: &Connect, arrival: &Arrival) -> Question {
    let question = Question {
        username: connect.username.clone(),
        password: None,
        password_base64: None,
        client_id: connect.client_id.clone(),
        address: address(arrival).map_or_else(|| "unix".to_owned(), |address| address.to_string()),
        listener: arrival.gate.listener.clone(),
        certificate: arrival.certificate.as_ref().map(|one| one.as_str().to_owned()),
    };
    question.with_password(connect.password.clone())
}

/// A certificate that is an identity allows no other beside it.
///
/// # Errors
/// If something else proved another user.
pub fn check_certificate(authenticated: &Authenticated, arrival: &Arrival) -> Result<(), Box<Refused>> {
    match &arrival.certificate {
        Some(certificate) if *certificate != authenticated.identity => Err(denied(
            ReasonCode::NotAuthorized,
            "the certificate and the password are of different users",
        )),
        _ => Ok(()),
    }
}

fn check_token(backends: &Backends, name: &str, password: &[u8], user_name: TokenUserName, now: Timestamp) -> Verdict {
    let token = std::str::from_utf8(password).unwrap_or_default();
    let proved = match backends.tokens.as_ref().map(|tokens| tokens.check(token, now)) {
        None => Err("tokens are not taken here".to_owned()),
        Some(Err(fault)) => Err(fault.to_string()),
        Some(Ok(proven)) => {
            let is_free = name.is_empty() || user_name == TokenUserName::Any;
            if is_free || proven.identity == Identity::from(name) {
                Ok((proven.identity, Some(proven.until)))
            } else {
                Err("the user name is not the one in the token".to_owned())
            }
        }
    };
    Verdict {
        backend: Backend::Jwt,
        proved,
    }
}

/// Whether a password has the form of a JSON Web Token: three parts, the first a JSON object in base64.
fn looks_like_token(password: &[u8]) -> bool {
    password.starts_with(b"eyJ") && password.iter().filter(|byte| **byte == b'.').count() == 2
}

fn address(arrival: &Arrival) -> Option<IpAddr> {
    match arrival.peer {
        Peer::Ip(address) => Some(address.ip()),
        Peer::Unix => None,
    }
}

pub(super) fn denied(code: ReasonCode, why: &str) -> Box<Refused> {
    Box::new(Refused::new(code, RefusalReason::Authentication, why))
}
