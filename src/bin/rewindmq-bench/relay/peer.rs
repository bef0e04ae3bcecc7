//! One connection of the relay: reads what is there, forwards every packet in it, writes what waits.

use std::future::poll_fn;
use std::rc::Rc;

use bytes::{BufMut, BytesMut};
use rewindmq::types::Version;

use super::outbox::Outbox;
use super::topics::{Last, Topics};
use crate::error::BenchError;
use crate::frame::{CONNECT, DISCONNECT, Frame, PINGREQ, PUBLISH, QOS_BITS, SUBSCRIBE, malformed, string, variable};
use crate::wire::Wire;

/// Serves a connection to its end. What goes wrong ends it; the load client sees that.
pub async fn serve(mut wire: Wire, topics: Rc<Topics>) {
    let outbox = Rc::new(Outbox::default());
    let mut peer = Peer {
        outbox: Rc::clone(&outbox),
        topics: Rc::clone(&topics),
        last: Last::default(),
        version: Version::V5,
    };
    loop {
        let read = poll_fn(|cx| {
            outbox.take(&mut wire.output, cx);
            wire.poll_transfer(cx)
        });
        if !read.await.is_ok_and(|len| len > 0) {
            break;
        }
        let (unread, output) = wire.split();
        match peer.handle(unread, output) {
            Ok(used) => wire.consume(used),
            Err(_) => break,
        }
    }
    topics.leave(&outbox);
}

struct Peer {
    outbox: Rc<Outbox>,
    topics: Rc<Topics>,
    last: Last,
    version: Version,
}

impl Peer {
    /// Handles all whole packets and says how many bytes they were. QoS 0 packets of one topic that stand side by side are
    /// copied as one piece.
    fn handle(&mut self, bytes: &[u8], output: &mut BytesMut) -> Result<usize, BenchError> {
        let (mut piece, mut used) = (0, 0);
        while let Some(frame) = Frame::cut(&bytes[used..])? {
            if frame.kind() == PUBLISH {
                let (topic, rest) = string(frame.body).ok_or_else(|| malformed("a topic"))?;
                if !self.last.is(topic, &self.topics) {
                    self.forward(&bytes[piece..used]);
                    piece = used;
                    self.last.look_up(topic, &self.topics);
                }
                if frame.first & QOS_BITS == 0 {
                    used += frame.bytes.len();
                    continue;
                }
                self.forward(&bytes[piece..used]);
                self.acknowledge_and_forward(&frame, frame.bytes.len() - rest.len(), output)?;
            } else {
                self.forward(&bytes[piece..used]);
                self.answer(&frame, output)?;
            }
            used += frame.bytes.len();
            piece = used;
        }
        self.forward(&bytes[piece..used]);
        Ok(used)
    }

    fn forward(&self, piece: &[u8]) {
        if !piece.is_empty() {
            self.last.targets().iter().for_each(|target| target.push(piece));
        }
    }

    /// A PUBLISH of QoS 1, with its packet identifier at that place.
    fn acknowledge_and_forward(&self, frame: &Frame<'_>, at: usize, output: &mut BytesMut) -> Result<(), BenchError> {
        let id = frame.bytes.get(at..at + 2).ok_or_else(|| malformed("a PUBLISH"))?;
        output.put_slice(&[0x40, 2, id[0], id[1]]);
        for target in self.last.targets() {
            target.push_with_id(frame.bytes, at);
        }
        Ok(())
    }

    /// Acknowledgements of deliveries need no answer: the relay sends nothing twice.
    fn answer(&mut self, frame: &Frame<'_>, output: &mut BytesMut) -> Result<(), BenchError> {
        match frame.kind() {
            CONNECT => {
                if frame.body.get(LEVEL_AT) == Some(&4) {
                    self.version = Version::V3;
                }
                output.put_slice(match self.version {
                    Version::V3 => &[0x20, 2, 0, 0],
                    Version::V5 => &[0x20, 3, 0, 0, 0],
                });
            }
            SUBSCRIBE => self
                .subscribe(frame.body, output)
                .ok_or_else(|| malformed("a SUBSCRIBE"))?,
            PINGREQ => output.put_slice(&[0xD0, 0]),
            DISCONNECT => return Err(malformed("the end")),
            _ => {}
        }
        Ok(())
    }

    /// One filter, which is taken for a topic.
    fn subscribe(&self, body: &[u8], output: &mut BytesMut) -> Option<()> {
        let (id, mut rest) = body.split_first_chunk::<2>()?;
        if self.version.has_properties() {
            let (len, len_bytes) = variable(rest)?;
            rest = rest.get(len_bytes + len..)?;
        }
        let (topic, options) = string(rest)?;
        self.topics.subscribe(topic, &self.outbox);
        let qos = options.first()? & 3;
        match self.version {
            Version::V3 => output.put_slice(&[0x90, 3, id[0], id[1], qos]),
            Version::V5 => output.put_slice(&[0x90, 4, id[0], id[1], 0, qos]),
        }
        Some(())
    }
}

/// Where CONNECT tells the protocol level, behind the name `MQTT`.
const LEVEL_AT: usize = 6;
