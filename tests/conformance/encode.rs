//! Writes packets of a client, good ones and malformed ones, from the arguments of a line.

use super::property::{Kind, Property};
use super::script::Version;
use super::text::Arg;

/// What a client sends by a line.
pub fn packet(version: Version, name: &str, args: &[Arg]) -> Result<Vec<u8>, String> {
    let Some((_, first)) = PACKETS.iter().find(|(known, _)| *known == name) else {
        return Err(format!("no packet is called {name}"));
    };
    let mut draft = Draft::read(version, *first, args)?;
    let body = match name {
        "CONNECT" => draft.connect()?,
        "PUBLISH" => draft.publish()?,
        "SUBSCRIBE" | "UNSUBSCRIBE" => draft.filters()?,
        "PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP" => draft.acknowledgement()?,
        "DISCONNECT" | "AUTH" => draft.reasoned()?,
        "SUBACK" | "UNSUBACK" | "CONNACK" => draft.identified()?,
        _ => Vec::new(),
    };
    draft.finish(body)
}

const PACKETS: [(&str, u8); 15] = [
    ("CONNECT", 0x10),
    ("CONNACK", 0x20),
    ("PUBLISH", 0x30),
    ("PUBACK", 0x40),
    ("PUBREC", 0x50),
    ("PUBREL", 0x62),
    ("PUBCOMP", 0x70),
    ("SUBSCRIBE", 0x82),
    ("SUBACK", 0x90),
    ("UNSUBSCRIBE", 0xA2),
    ("UNSUBACK", 0xB0),
    ("PINGREQ", 0xC0),
    ("PINGRESP", 0xD0),
    ("DISCONNECT", 0xE0),
    ("AUTH", 0xF0),
];

struct Draft<'a> {
    version: Version,
    first: u8,
    args: &'a [Arg],
    properties: Vec<u8>,
    will_properties: Vec<u8>,
    has_properties: bool,
}

impl<'a> Draft<'a> {
    fn read(version: Version, first: u8, args: &'a [Arg]) -> Result<Self, String> {
        let mut draft = Self {
            version,
            first,
            args,
            properties: Vec::new(),
            will_properties: Vec::new(),
            has_properties: false,
        };
        for arg in args {
            let will = arg.name.strip_prefix("will_").filter(|_| first == 0x10);
            if arg.name == "property" {
                draft.properties.extend(arg.bytes()?);
            } else if let Some(property) = Property::named(&arg.name) {
                let into = match will {
                    Some(_) => &mut draft.will_properties,
                    None => &mut draft.properties,
                };
                put_property(into, property, arg)?;
            } else if let Some(property) = will.and_then(Property::named) {
                put_property(&mut draft.will_properties, property, arg)?;
            } else if !KNOWN.contains(&arg.name.as_str()) {
                return Err(format!("no argument of a packet is called {}", arg.name));
            }
        }
        draft.has_properties = !draft.properties.is_empty() || draft.find("property_length").is_some();
        if version == Version::V3 && (draft.has_properties || !draft.will_properties.is_empty()) {
            return Err("MQTT 3.1.1 has no properties: write 5: before them".to_owned());
        }
        Ok(draft)
    }

    fn find(&self, name: &str) -> Option<&'a Arg> {
        self.args.iter().find(|arg| arg.name == name)
    }

    fn number(&self, name: &str, default: u32) -> Result<u32, String> {
        self.find(name).map_or(Ok(default), Arg::number)
    }

    fn text(&self, name: &str, out: &mut Vec<u8>) -> Result<(), String> {
        let bytes = self.find(name).map_or(Ok(Vec::new()), Arg::bytes)?;
        put_binary(out, &bytes);
        Ok(())
    }

    /// The properties with their length, where the version has them.
    fn put_properties(&self, out: &mut Vec<u8>) -> Result<(), String> {
        if self.version == Version::V5 && self.find("no_properties").is_none() {
            let len = self.number("property_length", self.properties.len() as u32)?;
            put_variable(out, len, 1);
            out.extend_from_slice(&self.properties);
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        let name = self.find("protocol_name").map_or(Ok(b"MQTT".to_vec()), Arg::bytes)?;
        put_binary(&mut body, &name);
        body.push(self.number("protocol_level", u32::from(self.version.level()))? as u8);
        let will = self.find("will_topic").is_some();
        let mut flags = (self.number("clean", 1)? as u8) << 1;
        flags |= (will as u8) << 2 | (self.number("will_qos", 0)? as u8) << 3;
        flags |= (self.number("will_retain", 0)? as u8) << 5;
        flags |= (self.find("password").is_some() as u8) << 6 | (self.find("username").is_some() as u8) << 7;
        body.push(self.number("connect_flags", u32::from(flags))? as u8);
        body.extend((self.number("keep_alive", 0)? as u16).to_be_bytes());
        self.put_properties(&mut body)?;
        self.text("client_id", &mut body)?;
        if will {
            if self.version == Version::V5 {
                put_variable(&mut body, self.will_properties.len() as u32, 1);
                body.extend_from_slice(&self.will_properties);
            }
            self.text("will_topic", &mut body)?;
            self.text("will_payload", &mut body)?;
        }
        for name in ["username", "password"] {
            if self.find(name).is_some() {
                self.text(name, &mut body)?;
            }
        }
        Ok(body)
    }

    fn publish(&mut self) -> Result<Vec<u8>, String> {
        let qos = self.number("qos", 0)?;
        self.first |= (self.number("dup", 0)? as u8) << 3 | (qos as u8) << 1 | self.number("retain", 0)? as u8;
        let mut body = Vec::new();
        self.text("topic", &mut body)?;
        if self.find("id").is_some() {
            self.id(&mut body)?;
        } else if qos > 0 {
            return Err("a PUBLISH with a QoS names its id".to_owned());
        }
        self.put_properties(&mut body)?;
        body.extend(self.find("payload").map_or(Ok(Vec::new()), Arg::bytes)?);
        Ok(body)
    }

    fn id(&self, body: &mut Vec<u8>) -> Result<(), String> {
        let id = self.find("id").ok_or("the packet names no id")?.number()?;
        body.extend((id as u16).to_be_bytes());
        Ok(())
    }

    /// SUBSCRIBE and UNSUBSCRIBE: options belong to the filter before them.
    fn filters(&self) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        self.id(&mut body)?;
        self.put_properties(&mut body)?;
        let subscribes = self.first & 0xF0 == 0x80;
        let mut options: Option<u8> = None;
        for arg in self.args {
            match arg.name.as_str() {
                "filter" => {
                    body.extend(options.take());
                    put_binary(&mut body, &arg.bytes()?);
                    options = subscribes.then_some(0);
                }
                "qos" => {
                    options = options
                        .map(|bits| bits & !3)
                        .zip(Some(arg.number()? as u8))
                        .map(|(a, b)| a | b)
                }
                "no_local" => options = options.map(|bits| bits | 4),
                "rap" => options = options.map(|bits| bits | 8),
                "rh" => options = options.zip(Some(arg.number()? as u8)).map(|(bits, rh)| bits | rh << 4),
                "options" => options = Some(arg.number()? as u8),
                _ => {}
            }
        }
        body.extend(options);
        Ok(body)
    }

    fn acknowledgement(&self) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        self.id(&mut body)?;
        body.extend(self.reasoned()?);
        Ok(body)
    }

    /// A reason code and properties, both left out where nothing is said of them.
    fn reasoned(&self) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        if self.has_properties || self.find("code").is_some() {
            body.push(self.number("code", 0)? as u8);
        }
        if self.has_properties {
            self.put_properties(&mut body)?;
        }
        Ok(body)
    }

    /// A packet that only a server may send.
    fn identified(&self) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        self.id(&mut body)?;
        self.put_properties(&mut body)?;
        body.push(self.number("code", 0)? as u8);
        Ok(body)
    }

    fn finish(&self, mut body: Vec<u8>) -> Result<Vec<u8>, String> {
        let cut = self.number("cut", 0)? as usize;
        body.truncate(body.len().saturating_sub(cut));
        for arg in self.args.iter().filter(|arg| arg.name == "append") {
            body.extend(arg.bytes()?);
        }
        let flags = self.number("flags", u32::from(self.first & 0x0F))? as u8;
        let mut packet = vec![self.first & 0xF0 | flags];
        let len = self.number("length", body.len() as u32)?;
        put_variable(&mut packet, len, self.number("length_bytes", 1)? as usize);
        packet.extend(body);
        Ok(packet)
    }
}

fn put_property(out: &mut Vec<u8>, property: &Property, arg: &Arg) -> Result<(), String> {
    out.push(property.id);
    match property.kind {
        Kind::Byte => out.push(arg.number()? as u8),
        Kind::Two => out.extend((arg.number()? as u16).to_be_bytes()),
        Kind::Four => out.extend(arg.number()?.to_be_bytes()),
        Kind::Variable => put_variable(out, arg.number()?, 1),
        Kind::Text | Kind::Binary => put_binary(out, &arg.bytes()?),
        Kind::Pair => {
            let (name, value) = arg.value().split_once(':').ok_or("a user property is NAME:VALUE")?;
            put_binary(out, &super::text::bytes(name)?);
            put_binary(out, &super::text::bytes(value)?);
        }
    }
    Ok(())
}

fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u16).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A Variable Byte Integer in at least so many bytes.
fn put_variable(out: &mut Vec<u8>, mut value: u32, at_least: usize) {
    let mut written = 1;
    while value > 0x7F || written < at_least {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
        written += 1;
    }
    out.push(value as u8);
}

const KNOWN: &[&str] = &[
    "client_id",
    "username",
    "password",
    "keep_alive",
    "clean",
    "protocol_name",
    "protocol_level",
    "connect_flags",
    "will_topic",
    "will_payload",
    "will_qos",
    "will_retain",
    "topic",
    "id",
    "qos",
    "dup",
    "retain",
    "payload",
    "filter",
    "no_local",
    "rap",
    "rh",
    "options",
    "code",
    "flags",
    "length",
    "length_bytes",
    "cut",
    "append",
    "property_length",
    "no_properties",
];
