//! The beginning of a connection: waits for CONNECT and lets the client in, or refuses it.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::refusal::{Who, note};
use super::wire::Wire;
use crate::broker::{Arrival, Authenticated, Broker, Client, Introduced, Introduction, Refused, check_certificate};
use crate::codec::{self, Auth, ConnAck, Connect, DecodeLimits, Packet};
use crate::metrics::RefusalReason;
use crate::types::{ReasonCode, Version};

/// A client that was let in.
pub(super) struct Admitted {
    pub client: Box<Client>,
    pub keep_alive_secs: u16,
}

/// Lets the client in; `None` if it was refused, and told so.
pub(super) async fn admit<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    broker: &Arc<Broker>,
    arrival: Arrival,
    deadline: Instant,
) -> Option<Admitted> {
    let limits = DecodeLimits {
        max_packet_size: wire.max_packet_size,
    };
    let mut known = Known::default();
    let introduced = introduce(wire, broker, &arrival, &limits, &mut known);
    let refusal = match timeout_at(deadline, introduced).await {
        Ok(Ok((connect, authenticated))) => {
            let version = connect.version;
            let keep_alive_secs = broker.keep_alive_secs(&connect);
            match broker.connect(connect, &arrival, authenticated).await {
                Ok(client) => {
                    return Some(Admitted {
                        client,
                        keep_alive_secs,
                    });
                }
                Err(refused) => Refusal::answered(refused, version),
            }
        }
        Ok(Err(refusal)) => refusal,
        Err(_) => Refusal::silent(
            RefusalReason::Timeout,
            "no CONNECT, or no end of its authentication, in time",
        ),
    };
    refuse(wire, broker, &arrival, refusal, &known).await;
    None
}

/// What its CONNECT says of a client that may be refused.
struct Known {
    /// The client's Maximum Packet Size.
    largest: usize,
    who: Who,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            largest: usize::MAX,
            who: Who::default(),
        }
    }
}

impl Known {
    fn of(connect: &Connect) -> Self {
        Self {
            largest: connect.maximum_packet_size.map_or(usize::MAX, |size| size as usize),
            who: Who {
                client: Some(connect.client_id.clone()),
                user: connect.username.clone(),
            },
        }
    }
}

/// Why a connection is closed before its client is let in.
struct Refusal {
    answer: Option<(Box<ConnAck>, Version)>,
    reason: RefusalReason,
    what: String,
}

impl Refusal {
    fn silent(reason: RefusalReason, what: &str) -> Self {
        Self {
            answer: None,
            reason,
            what: what.to_owned(),
        }
    }

    /// The listener does not speak this version.
    fn version(version: Version) -> Self {
        let connack = ConnAck::new(ReasonCode::UnsupportedProtocolVersion);
        Self {
            answer: Some((Box::new(connack), version)),
            reason: RefusalReason::Version,
            what: format!("{version:?} is not among the versions of this listener"),
        }
    }

    fn answered(refused: Refused, version: Version) -> Self {
        let what = refused.connack.reason_string.clone().unwrap_or_default();
        Self {
            answer: Some((refused.connack, version)),
            reason: refused.reason,
            what,
        }
    }
}

/// Reads CONNECT, and goes through the exchange that it asks for.
async fn introduce<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    broker: &Broker,
    arrival: &Arrival,
    limits: &DecodeLimits,
    known: &mut Known,
) -> Result<(Connect, Option<Authenticated>), Refusal> {
    let connect = read_connect(wire, limits).await?;
    *known = Known::of(&connect);
    let version = connect.version;
    if !arrival.gate.versions.speaks(version) {
        return Err(Refusal::version(version));
    }
    let refused = |refused: Box<Refused>| Refusal::answered(*refused, version);
    let begun = broker.introduce(&connect, broker.clock().now()).map_err(refused)?;
    let Some((mut introduction, mut answer)) = begun else {
        let authenticated = broker.log_in(&connect, arrival).await.map_err(refused)?;
        return Ok((connect, authenticated));
    };
    loop {
        send_auth(wire, *answer, version, known.largest).await?;
        match next_step(wire, broker, &mut introduction, version, limits).await? {
            Introduced::Continue(next) => answer = next,
            Introduced::Done(authenticated) => {
                check_certificate(&authenticated, arrival).map_err(refused)?;
                return Ok((connect, Some(authenticated)));
            }
        }
    }
}

async fn send_auth<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    auth: Auth,
    version: Version,
    largest: usize,
) -> Result<(), Refusal> {
    let mut out = BytesMut::new();
    let encoded = codec::encode(&Packet::Auth(auth), version, &mut out);
    if encoded.is_err() || out.len() > largest {
        // [MQTT-3.1.2-24]
        let what = "the authentication does not fit into the client's Maximum Packet Size";
        return Err(Refusal::silent(RefusalReason::Authentication, what));
    }
    let lost = |_| Refusal::silent(RefusalReason::Lost, "lost during the authentication");
    wire.stream.write_all(&out).await.map_err(lost)?;
    wire.stream.flush().await.map_err(lost)
}

/// Waits for what the client answers.
async fn next_step<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    broker: &Broker,
    introduction: &mut Introduction,
    version: Version,
    limits: &DecodeLimits,
) -> Result<Introduced, Refusal> {
    loop {
        match codec::decode(&wire.input, Some(version), limits) {
            Ok(None) => {}
            Ok(Some((Packet::Disconnect(_), _))) => {
                let what = "the client gave up during the authentication";
                return Err(Refusal::silent(RefusalReason::Lost, what));
            }
            Ok(Some((packet, len))) => {
                let step = broker.go_on(introduction, packet, broker.clock().now());
                let step = step.map_err(|refused| Refusal::answered(*refused, version))?;
                wire.input.advance(len);
                return Ok(step);
            }
            Err(fault) => return Err(refuse_connect(&fault)),
        }
        let read = poll_fn(|cx| wire.poll_read(cx)).await;
        if read == 0 {
            return Err(Refusal::silent(RefusalReason::Lost, "closed during the authentication"));
        }
    }
}

async fn read_connect<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    limits: &DecodeLimits,
) -> Result<Connect, Refusal> {
    loop {
        match codec::decode(&wire.input, None, limits) {
            Ok(Some((Packet::Connect(connect), len))) => {
                wire.input.advance(len);
                return Ok(*connect);
            }
            // [MQTT-3.1.0-1]
            Ok(Some(_)) => {
                return Err(Refusal::silent(
                    RefusalReason::Protocol,
                    "the first packet is no CONNECT",
                ));
            }
            Ok(None) => {}
            Err(fault) => return Err(refuse_connect(&fault)),
        }
        let read = poll_fn(|cx| wire.poll_read(cx)).await;
        if read == 0 {
            return Err(Refusal::silent(RefusalReason::Lost, "closed before CONNECT"));
        }
    }
}

/// Answers, where the protocol has an answer that the client takes, and closes.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    broker: &Broker,
    arrival: &Arrival,
    refusal: Refusal,
    known: &Known,
) {
    note(
        broker,
        &arrival.gate.listener,
        arrival.peer,
        &known.who,
        refusal.reason,
        &refusal.what,
    );
    let name = known.who.client.as_deref().unwrap_or_default();
    let said = refusal.answer.as_ref().map(|(connack, _)| connack.reason);
    broker.tell_refused_connect(name, arrival.peer, said, &refusal.what);
    let Some((connack, version)) = refusal.answer else {
        return;
    };
    // [MQTT-3.2.2-19]: the reason string goes first, then the whole answer.
    let bare = Box::new(ConnAck::new(connack.reason));
    for connack in [connack, bare] {
        let mut out = BytesMut::new();
        let encoded = codec::encode(&Packet::ConnAck(connack), version, &mut out);
        if encoded.is_ok() && out.len() <= known.largest {
            return wire.write_last(&out).await;
        }
    }
}

/// The answer to a CONNECT that is none, where one is due (section 3.1.4).
fn refuse_connect(fault: &codec::DecodeError) -> Refusal {
    let reason = match fault.reason {
        ReasonCode::UnsupportedProtocolVersion => RefusalReason::Version,
        ReasonCode::ClientIdentifierNotValid => RefusalReason::ClientId,
        _ => RefusalReason::Protocol,
    };
    let answer = fault.version.map(|version| {
        let mut connack = ConnAck::new(fault.reason);
        if reason != RefusalReason::Version {
            // Who speaks another version may not know properties.
            connack.reason_string = Some(fault.to_string());
        }
        (Box::new(connack), version)
    });
    Refusal {
        answer,
        reason,
        what: fault.to_string(),
    }
}
