//! A small blocking MQTT client on this crate's codec. Every wait has a deadline; nothing sleeps.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rewindmq::codec::{
    self, Ack, ConnAck, Connect, DecodeLimits, Disconnect, Packet, Publish, SubAck, Subscribe, SubscribeFilter,
    Unsubscribe,
};
use rewindmq::types::{PacketId, QoS, ReasonCode, Version};

use super::server::Broker;
pub use super::values::{Message, Post, Received, filter, lasting, message, packet, post, v3, v5};
use super::values::{owned, pairs};

/// How long anything may take before the test fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

const CONNECTIONS: &str = "rewindmq_connections";

/// A connected client. It answers PUBREL, unless it is told not to, and nothing else on its own.
pub struct Client {
    stream: TcpStream,
    version: Version,
    input: Vec<u8>,
    used: usize,
    inbox: VecDeque<Received>,
    last_packet_id: u16,
    /// The identifiers of the PUBRELs that came.
    released: Vec<PacketId>,
    completes: bool,
    pub connack: ConnAck,
}

impl Client {
    /// Connects and gets in.
    pub fn connect(address: SocketAddr, connect: Connect) -> Self {
        let client = Self::try_connect(address, connect).expect("the broker answers");
        assert_eq!(client.connack.reason, ReasonCode::Success, "{:?}", client.connack);
        client
    }

    /// Connects; the answer may be a refusal.
    pub fn try_connect(address: SocketAddr, connect: Connect) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(DEADLINE))?;
        let mut client = Self {
            stream,
            version: connect.version,
            input: Vec::new(),
            used: 0,
            inbox: VecDeque::new(),
            last_packet_id: 0,
            released: Vec::new(),
            completes: true,
            connack: ConnAck::new(ReasonCode::UnspecifiedError),
        };
        client.try_send(&Packet::Connect(Box::new(connect)))?;
        match client.try_receive(Instant::now() + DEADLINE)? {
            Received::Packet(packet) => match *packet {
                Packet::ConnAck(connack) => client.connack = *connack,
                other => panic!("no CONNACK: {other:?}"),
            },
            other => panic!("no CONNACK: {other:?}"),
        }
        Ok(client)
    }

    pub fn try_send(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        codec::encode(packet, self.version, &mut bytes).expect("a packet that can be written");
        self.stream.write_all(&bytes)
    }

    pub fn send(&mut self, packet: &Packet<'_>) {
        self.try_send(packet).expect("the connection takes it");
    }

    /// From now on PUBREL is received like any other packet, and the test answers it.
    pub fn leave_completing(&mut self) {
        self.completes = false;
    }

    /// The raw connection, for what no packet says.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// What comes next, from the inbox or the connection.
    pub fn try_receive(&mut self, deadline: Instant) -> io::Result<Received> {
        match self.inbox.pop_front() {
            Some(received) => Ok(received),
            None => self.read(deadline),
        }
    }

    fn read(&mut self, deadline: Instant) -> io::Result<Received> {
        loop {
            if let Some(received) = self.decode()? {
                return Ok(received);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut buffer = [0; 64 << 10];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.input.extend_from_slice(&buffer[..n]),
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
                Err(fault) => return Err(fault),
            }
        }
    }

    fn decode(&mut self) -> io::Result<Option<Received>> {
        let limits = DecodeLimits {
            max_packet_size: u32::MAX,
        };
        let decoded = codec::decode_from_server(&self.input[self.used..], self.version, &limits);
        let Some((decoded, len)) = decoded.expect("the broker writes what can be read") else {
            self.input.drain(..self.used);
            self.used = 0;
            return Ok(None);
        };
        let received = owned(decoded);
        self.used += len;
        if let Some(Packet::PubRel(ack)) = packet(&received)
            && self.completes
        {
            self.released.push(ack.packet_id);
            self.try_send(&Packet::PubComp(Ack::new(ack.packet_id, ReasonCode::Success)))?;
            return self.decode();
        }
        Ok(Some(received))
    }

    /// What comes next that `wanted` takes; the rest stays, in order, for later.
    pub fn try_find<T>(&mut self, deadline: Instant, mut wanted: impl FnMut(&Received) -> Option<T>) -> io::Result<T> {
        for index in 0..self.inbox.len() {
            if let Some(found) = wanted(&self.inbox[index]) {
                self.inbox.remove(index);
                return Ok(found);
            }
        }
        loop {
            let received = self.read(deadline)?;
            if let Some(found) = wanted(&received) {
                return Ok(found);
            }
            self.inbox.push_back(received);
        }
    }

    fn find<T>(&mut self, what: &str, wanted: impl FnMut(&Received) -> Option<T>) -> T {
        let found = self.try_find(Instant::now() + DEADLINE, wanted);
        found.unwrap_or_else(|fault| panic!("{what} does not come: {fault}; there is {:?}", self.inbox))
    }

    /// The next message; not acknowledged.
    pub fn next(&mut self) -> Message {
        self.find("a message", message)
    }

    /// The next message until the deadline; not acknowledged.
    pub fn try_next(&mut self, deadline: Instant) -> io::Result<Message> {
        self.try_find(deadline, message)
    }

    /// The next message, acknowledged.
    pub fn take(&mut self) -> Message {
        let message = self.next();
        self.acknowledge(&message);
        message
    }

    /// The texts of the next messages, acknowledged.
    pub fn take_texts(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.take().text().to_owned()).collect()
    }

    pub fn acknowledge(&mut self, message: &Message) {
        self.try_acknowledge(message).expect("the connection takes it");
    }

    /// PUBACK or PUBREC.
    pub fn try_acknowledge(&mut self, message: &Message) -> io::Result<()> {
        let Some(packet_id) = message.packet_id else {
            return Ok(());
        };
        let ack = Ack::new(packet_id, ReasonCode::Success);
        self.try_send(&match message.qos {
            QoS::ExactlyOnce => Packet::PubRec(ack),
            _ => Packet::PubAck(ack),
        })
    }

    pub fn new_packet_id(&mut self) -> PacketId {
        self.last_packet_id = self.last_packet_id % u16::MAX + 1;
        PacketId::new(self.last_packet_id).expect("not zero")
    }

    /// Sends a PUBLISH and waits for nothing.
    pub fn try_post(&mut self, post: &Post<'_>) -> io::Result<Option<PacketId>> {
        let packet_id = (post.qos > 0).then(|| self.new_packet_id());
        self.try_post_as(post, packet_id)?;
        Ok(packet_id)
    }

    /// Sends a PUBLISH under this packet identifier.
    pub fn try_post_as(&mut self, post: &Post<'_>, packet_id: Option<PacketId>) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        self.encode(post, packet_id, &mut bytes);
        self.stream.write_all(&bytes)
    }

    /// Sends PUBLISH packets in one write.
    pub fn post_all(&mut self, posts: &[Post<'_>]) {
        let mut bytes = BytesMut::new();
        for post in posts {
            let packet_id = (post.qos > 0).then(|| self.new_packet_id());
            self.encode(post, packet_id, &mut bytes);
        }
        self.stream.write_all(&bytes).expect("the connection takes it");
    }

    fn encode(&self, post: &Post<'_>, packet_id: Option<PacketId>, bytes: &mut BytesMut) {
        let mut properties = BytesMut::new();
        for (name, value) in post.user {
            codec::encode_user_property(name, value, &mut properties);
        }
        let packet = Packet::Publish(Publish {
            dup: post.dup,
            qos: QoS::from_bits(post.qos).expect("a QoS"),
            retain: post.retain,
            topic: post.topic,
            packet_id,
            topic_alias: None,
            expiry_secs: None,
            properties: &properties,
            has_hop_properties: false,
            has_user_properties: !post.user.is_empty(),
            payload: post.payload,
        });
        codec::encode(&packet, self.version, bytes).expect("a packet that can be written");
    }

    pub fn post(&mut self, post: &Post<'_>) -> Option<PacketId> {
        self.try_post(post).expect("the connection takes it")
    }

    /// Publishes and waits for PUBACK or PUBREC; completes QoS 2.
    pub fn publish(&mut self, post: &Post<'_>) -> Ack {
        let packet_id = self.post(post).expect("QoS 1 or 2");
        self.publish_ack(packet_id)
    }

    /// PUBACK or PUBREC of a PUBLISH; completes QoS 2.
    pub fn publish_ack(&mut self, packet_id: PacketId) -> Ack {
        let (ack, is_rec) = self.find("PUBACK or PUBREC", |received| match packet(received)? {
            Packet::PubAck(ack) if ack.packet_id == packet_id => Some((ack.clone(), false)),
            Packet::PubRec(ack) if ack.packet_id == packet_id => Some((ack.clone(), true)),
            _ => None,
        });
        if is_rec && !ack.reason.is_error() {
            self.send(&Packet::PubRel(Ack::new(packet_id, ReasonCode::Success)));
            self.find("PUBCOMP", |received| match packet(received)? {
                Packet::PubComp(ack) if ack.packet_id == packet_id => Some(()),
                _ => None,
            });
        }
        ack
    }

    /// Subscribes and waits for SUBACK; messages that come before it stay in the inbox.
    pub fn try_subscribe(&mut self, filters: &[SubscribeFilter], user: &[(&str, &str)]) -> io::Result<SubAck> {
        self.try_subscribe_as(filters, user, None)
    }

    /// The same with a subscription identifier.
    pub fn try_subscribe_as(
        &mut self,
        filters: &[SubscribeFilter],
        user: &[(&str, &str)],
        subscription_id: Option<u32>,
    ) -> io::Result<SubAck> {
        let packet_id = self.new_packet_id();
        self.try_send(&Packet::Subscribe(Subscribe {
            packet_id,
            subscription_id,
            user_properties: pairs(user),
            filters: filters.to_vec(),
        }))?;
        self.try_find(Instant::now() + DEADLINE, |received| match packet(received)? {
            Packet::SubAck(ack) if ack.packet_id == packet_id => Some(ack.clone()),
            _ => None,
        })
    }

    /// Subscribes to one filter and is granted it.
    pub fn subscribe(&mut self, text: &str, qos: u8, user: &[(&str, &str)]) -> SubAck {
        let ack = self.try_subscribe(&[filter(text, qos)], user).expect("SUBACK comes");
        assert!(!ack.reasons[0].is_error(), "{ack:?}");
        ack
    }

    pub fn unsubscribe(&mut self, filter: &str, user: &[(&str, &str)]) -> SubAck {
        let packet_id = self.new_packet_id();
        self.send(&Packet::Unsubscribe(Unsubscribe {
            packet_id,
            user_properties: pairs(user),
            filters: vec![filter.into()],
        }));
        self.find("UNSUBACK", |received| match packet(received)? {
            Packet::UnsubAck(ack) if ack.packet_id == packet_id => Some(ack.clone()),
            _ => None,
        })
    }

    /// A round trip: the broker has handled all that was sent before.
    pub fn ping(&mut self) {
        self.send(&Packet::PingReq);
        self.find("PINGRESP", |received| {
            matches!(packet(received)?, Packet::PingResp).then_some(())
        });
    }

    /// PUBREL has come and is answered. What it waits for may take the broker some round trips.
    pub fn await_release(&mut self, packet_id: Option<PacketId>) {
        let deadline = Instant::now() + DEADLINE;
        while !self.released.iter().any(|released| Some(*released) == packet_id) {
            assert!(Instant::now() < deadline, "PUBREL does not come");
            self.ping();
        }
        self.ping();
    }

    /// Nothing has come but what was asked for. Two round trips: the first ends a turn of the connection.
    pub fn assert_quiet(&mut self) {
        self.ping();
        self.ping();
        assert!(self.inbox.is_empty(), "{:?}", self.inbox);
    }

    /// The broker ends the connection; gives its DISCONNECT if there is one.
    pub fn closed(&mut self) -> Option<Disconnect> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.try_receive(deadline) {
                Ok(Received::Packet(packet)) => {
                    if let Packet::Disconnect(disconnect) = *packet {
                        return Some(disconnect);
                    }
                }
                Ok(Received::Message(_)) => {}
                Err(fault) if fault.kind() == ErrorKind::TimedOut => panic!("the connection stays"),
                Err(_) => return None,
            }
        }
    }

    /// Says goodbye and waits until the broker has closed: it has taken note of everything then.
    pub fn disconnect(mut self) {
        self.send(&Packet::Disconnect(Disconnect::new(ReasonCode::Success)));
        assert_eq!(self.closed(), None);
    }

    /// Breaks the connection without a word and waits until the broker has noticed. Gives what it had still written.
    pub fn cut(mut self) -> Vec<Received> {
        self.stream.shutdown(Shutdown::Write).expect("a connection");
        self.cut_off()
    }

    /// As [`Client::cut`], with nothing read until the broker has noticed, so that what is written has an end.
    pub fn cut_unread(mut self, broker: &Broker) -> Vec<Received> {
        let others = broker.metric(CONNECTIONS) - 1.0;
        self.stream.shutdown(Shutdown::Write).expect("a connection");
        broker.await_metric(CONNECTIONS, |connections| connections <= others);
        self.cut_off()
    }

    /// The broker breaks the connection. Gives what it had written.
    pub fn cut_off(&mut self) -> Vec<Received> {
        let deadline = Instant::now() + DEADLINE;
        let mut rest = Vec::new();
        loop {
            match self.try_receive(deadline) {
                Ok(received) => rest.push(received),
                Err(fault) if fault.kind() == ErrorKind::TimedOut => panic!("the connection stays"),
                Err(_) => return rest,
            }
        }
    }
}
