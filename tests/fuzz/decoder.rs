//! Target: the decoder, on bytes that came in any pieces. What it accepts must encode to bytes that say the same.

use std::sync::Arc;

use bytes::BytesMut;
use rewindmq::codec::{
    DecodeError, DecodeLimits, Delivery, MAX_PACKET_SIZE, Packet, Publish, decode, decode_from_server, delivery_len,
    encode, encode_delivery, encoded_len, user_properties, without_hop_properties,
};
use rewindmq::types::{Message, MessageParts, Timestamp, Version};

type Decoded<'a> = Result<Option<(Packet<'a>, usize)>, DecodeError>;

/// Who sends the bytes.
#[derive(Clone, Copy)]
enum Peer {
    /// A client; `None` before its CONNECT.
    Client(Option<Version>),
    Server(Version),
}

/// Runs one input: its first byte chooses the largest packet allowed, the others are what came. Returns how many packets
/// and faults were found.
pub fn run(input: &[u8]) -> usize {
    let Some((&choice, bytes)) = input.split_first() else {
        return 0;
    };
    let max_packet_size = match choice {
        0..128 => MAX_PACKET_SIZE as u32,
        small => u32::from(small) - 120,
    };
    let limits = DecodeLimits { max_packet_size };
    let peers = [
        Peer::Client(None),
        Peer::Client(Some(Version::V5)),
        Peer::Client(Some(Version::V3)),
        Peer::Server(Version::V5),
        Peer::Server(Version::V3),
    ];
    peers.into_iter().map(|peer| stream(peer, bytes, &limits)).sum()
}

/// Reads the packets of one stream, as a connection does.
fn stream(mut peer: Peer, mut bytes: &[u8], limits: &DecodeLimits) -> usize {
    let mut found = 0;
    loop {
        let decoded = peer.decode(bytes, limits);
        comes_to_the_same_in_pieces(peer, bytes, limits, &decoded);
        match decoded {
            Ok(Some((packet, len))) => {
                assert!((2..=bytes.len()).contains(&len), "{len} bytes of {}", bytes.len());
                assert!(len <= limits.max_packet_size as usize, "larger than allowed");
                found += 1;
                reads_back(&packet, peer.version(&packet));
                peer = peer.after(&packet);
                bytes = &bytes[len..];
            }
            Ok(None) => return found,
            Err(fault) => {
                assert!(fault.reason.is_error() && !fault.what.is_empty(), "{fault:?}");
                return found + 1;
            }
        }
    }
}

impl Peer {
    fn decode<'a>(self, bytes: &'a [u8], limits: &DecodeLimits) -> Decoded<'a> {
        match self {
            Self::Client(version) => decode(bytes, version, limits),
            Self::Server(version) => decode_from_server(bytes, version, limits),
        }
    }

    fn version(self, packet: &Packet<'_>) -> Version {
        match (self, packet) {
            (_, Packet::Connect(connect)) => connect.version,
            (Self::Client(Some(version)) | Self::Server(version), _) => version,
            (Self::Client(None), other) => panic!("before CONNECT: {other:?}"),
        }
    }

    fn after(self, packet: &Packet<'_>) -> Self {
        match self {
            Self::Client(None) => Self::Client(Some(self.version(packet))),
            known => known,
        }
    }
}

/// What is told before all bytes are there must be what is told in the end.
fn comes_to_the_same_in_pieces(peer: Peer, bytes: &[u8], limits: &DecodeLimits, whole: &Decoded<'_>) {
    let needed = match whole {
        Ok(Some((_, len))) => *len,
        _ => bytes.len(),
    };
    for end in (0..needed).filter(|end| *end < 64 || end % 61 == 0) {
        match (peer.decode(&bytes[..end], limits), whole) {
            (Ok(None), _) => {}
            // The version to answer in may still be on its way.
            (Err(early), Err(late)) => assert_eq!((early.reason, early.what), (late.reason, late.what)),
            (early, late) => panic!("after {end} bytes {early:?}, in the end {late:?}"),
        }
    }
}

fn reads_back(packet: &Packet<'_>, version: Version) {
    let mut out = BytesMut::new();
    encode(packet, version, &mut out).unwrap_or_else(|fault| panic!("{fault}: {packet:?}"));
    assert_eq!(encoded_len(packet, version), Ok(out.len()), "{packet:?}");
    let limits = DecodeLimits {
        max_packet_size: MAX_PACKET_SIZE as u32,
    };
    let again = decode_from_server(&out, version, &limits);
    assert_eq!(again, Ok(Some((packet.clone(), out.len()))));
    if let Packet::Publish(publish) = packet {
        is_delivered(publish);
    }
}

/// A PUBLISH that was accepted goes out to subscribers of both versions with what it said.
fn is_delivered(publish: &Publish<'_>) {
    let mut properties = Vec::new();
    without_hop_properties(publish.properties, &mut properties);
    let parts = MessageParts {
        topic: publish.topic,
        properties: &properties,
        payload: publish.payload,
        qos: publish.qos,
        retain: publish.retain,
        expiry_secs: publish.expiry_secs,
        received: Timestamp(1),
    };
    let message = Arc::new(Message::new(parts, None));
    for version in [Version::V5, Version::V3] {
        let delivery = Delivery {
            topic: message.topic_bytes(),
            properties: message.properties(),
            payload: message.payload(),
            dup: publish.dup,
            qos: publish.qos,
            retain: publish.retain,
            packet_id: publish.packet_id,
            expiry_secs: publish.expiry_secs,
            topic_alias: None,
            send_topic: true,
            subscription_ids: &[],
            event: None,
        };
        let mut out = BytesMut::new();
        encode_delivery(&delivery, version, &mut out);
        assert_eq!(delivery_len(&delivery, version), out.len());
        if !publish.topic.is_empty() {
            says_the_same(publish, version, &out);
        }
    }
}

fn says_the_same(publish: &Publish<'_>, version: Version, out: &[u8]) {
    let limits = DecodeLimits {
        max_packet_size: MAX_PACKET_SIZE as u32,
    };
    let decoded = decode_from_server(out, version, &limits);
    let Ok(Some((Packet::Publish(delivered), len))) = decoded else {
        panic!("a delivery reads as {decoded:?}");
    };
    assert_eq!(len, out.len());
    assert_eq!((delivered.topic, delivered.payload), (publish.topic, publish.payload));
    assert_eq!((delivered.qos, delivered.retain), (publish.qos, publish.retain));
    if version.has_properties() {
        assert_eq!(delivered.expiry_secs, publish.expiry_secs);
        assert!(user_properties(delivered.properties).eq(user_properties(publish.properties)));
    }
}
