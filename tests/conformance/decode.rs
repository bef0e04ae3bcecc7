//! Reads what a server sends, strictly, with nothing of the broker's own codec.

use super::property::{Kind, Property};
use super::script::Version;

/// A packet of a server: its name and its fields in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub name: &'static str,
    pub fields: Vec<(&'static str, Value)>,
    /// From its first byte to its last.
    pub len: usize,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Number(u32),
    Bytes(Vec<u8>),
}

impl Received {
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    pub fn number(&self, name: &str) -> Option<u32> {
        match self.field(name) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }
}

impl std::fmt::Display for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name)?;
        for (name, value) in &self.fields {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) if *number < 0x80 => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number} (0x{number:02X})"),
            Self::Bytes(bytes) if bytes.len() > 80 => write!(f, "({} bytes)", bytes.len()),
            Self::Bytes(bytes) => write!(f, "{}", bytes.escape_ascii()),
        }
    }
}

/// The first packet of `bytes`; `None` if more are needed.
pub fn packet(version: Version, bytes: &[u8]) -> Result<Option<Received>, String> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let mut reader = Reader { rest };
    let len = match reader.variable() {
        Ok(len) => len as usize,
        Err(_) if rest.len() < 4 && rest.iter().all(|byte| byte & 0x80 != 0) => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let head = bytes.len() - reader.rest.len();
    let Some(body) = reader.rest.get(..len) else {
        return Ok(None);
    };
    let mut body = Body {
        version,
        reader: Reader { rest: body },
        name: name(first)?,
        fields: Vec::new(),
    };
    body.read(first)
        .map_err(|fault| format!("a malformed {}: {fault}; {:02X?}", body.name, &bytes[..head + len]))?;
    Ok(Some(Received {
        name: body.name,
        fields: body.fields,
        len: head + len,
    }))
}

fn name(first: u8) -> Result<&'static str, String> {
    let (name, flags) = match first >> 4 {
        2 => ("CONNACK", 0),
        3 => return Ok("PUBLISH"),
        4 => ("PUBACK", 0),
        5 => ("PUBREC", 0),
        6 => ("PUBREL", 2),
        7 => ("PUBCOMP", 0),
        9 => ("SUBACK", 0),
        11 => ("UNSUBACK", 0),
        13 => ("PINGRESP", 0),
        14 => ("DISCONNECT", 0),
        15 => ("AUTH", 0),
        _ => return Err(format!("a packet that no server sends: first byte {first:#04X}")),
    };
    if first & 0x0F != flags {
        return Err(format!("reserved flags of {name}: first byte {first:#04X}"));
    }
    Ok(name)
}

struct Body<'a> {
    version: Version,
    reader: Reader<'a>,
    name: &'static str,
    fields: Vec<(&'static str, Value)>,
}

impl Body<'_> {
    fn read(&mut self, first: u8) -> Result<(), String> {
        match self.name {
            "CONNACK" => self.connack()?,
            "PUBLISH" => return self.publish(first),
            "SUBACK" | "UNSUBACK" => self.suback()?,
            "PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP" => {
                self.id()?;
                self.reasoned()?;
            }
            "DISCONNECT" | "AUTH" if self.version == Version::V3 => return Err("not in MQTT 3.1.1".to_owned()),
            "DISCONNECT" | "AUTH" => self.reasoned()?,
            _ => {}
        }
        match self.reader.rest {
            [] => Ok(()),
            rest => Err(format!("{} bytes behind its end", rest.len())),
        }
    }

    fn put(&mut self, name: &'static str, number: u32) {
        self.fields.push((name, Value::Number(number)));
    }

    fn id(&mut self) -> Result<(), String> {
        let id = self.reader.two()?;
        if id == 0 {
            return Err("packet identifier 0".to_owned());
        }
        self.put("id", u32::from(id));
        Ok(())
    }

    fn connack(&mut self) -> Result<(), String> {
        let flags = self.reader.byte()?;
        if flags > 1 {
            return Err(format!("reserved flags {flags:#04X}"));
        }
        self.put("session_present", u32::from(flags));
        let code = self.reader.byte()?;
        self.code(code)?;
        self.properties()
    }

    fn code(&mut self, code: u8) -> Result<(), String> {
        let known = match self.version {
            Version::V5 => CODES
                .iter()
                .any(|(name, codes)| *name == self.name && codes.contains(&code)),
            Version::V3 => self.name != "CONNACK" || code <= 5,
        };
        if !known {
            return Err(format!("a reason code that it cannot have: {code:#04X}"));
        }
        self.put("code", u32::from(code));
        Ok(())
    }

    fn publish(&mut self, first: u8) -> Result<(), String> {
        let (dup, qos, retain) = (first >> 3 & 1, first >> 1 & 3, first & 1);
        if qos == 3 || (qos == 0 && dup == 1) {
            return Err(format!("flags {:#03X}", first & 0x0F));
        }
        let topic = self.reader.text()?;
        if topic.contains(&b'+') || topic.contains(&b'#') {
            return Err("a wildcard in the topic".to_owned());
        }
        self.fields.push(("topic", Value::Bytes(topic)));
        self.put("qos", u32::from(qos));
        self.put("dup", u32::from(dup));
        self.put("retain", u32::from(retain));
        if qos > 0 {
            self.id()?;
        }
        self.properties()?;
        let payload = std::mem::take(&mut self.reader.rest).to_vec();
        self.fields.push(("payload", Value::Bytes(payload)));
        Ok(())
    }

    fn suback(&mut self) -> Result<(), String> {
        self.id()?;
        self.properties()?;
        let allowed: &[u8] = match (self.name, self.version) {
            ("SUBACK", Version::V3) => &[0, 1, 2, 0x80],
            ("UNSUBACK", Version::V3) => &[],
            ("SUBACK", _) => &[0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2],
            _ => &[0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91],
        };
        for code in std::mem::take(&mut self.reader.rest) {
            if !allowed.contains(code) {
                return Err(format!("a reason code that it cannot have: {code:#04X}"));
            }
            self.put("codes", u32::from(*code));
        }
        Ok(())
    }

    fn reasoned(&mut self) -> Result<(), String> {
        if self.version == Version::V3 || self.reader.rest.is_empty() {
            self.put("code", 0);
            return Ok(());
        }
        let code = self.reader.byte()?;
        self.code(code)?;
        if self.reader.rest.is_empty() {
            return Ok(());
        }
        self.properties()
    }

    fn properties(&mut self) -> Result<(), String> {
        if self.version == Version::V3 {
            return Ok(());
        }
        let len = self.reader.variable()? as usize;
        let mut reader = Reader {
            rest: self.reader.take(len)?,
        };
        let mut seen = Vec::new();
        while !reader.rest.is_empty() {
            let id = reader.variable()?;
            let property = u8::try_from(id).ok().and_then(Property::of);
            let property = property.ok_or_else(|| format!("no property has the identifier {id}"))?;
            if !property.from_server.contains(&self.name) {
                return Err(format!("{} does not belong there", property.name));
            }
            if seen.contains(&id) && !property.may_repeat() {
                return Err(format!("{} twice", property.name));
            }
            seen.push(id);
            let value = reader.value(property)?;
            self.fields.push((property.name, value));
        }
        Ok(())
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or("it ends inside a field")?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn two(&mut self) -> Result<u16, String> {
        Ok(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    fn variable(&mut self) -> Result<u32, String> {
        let mut value = 0;
        for index in 0..4 {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                return match (byte, index) {
                    (0, 1..) => Err("a length in more bytes than it needs".to_owned()),
                    _ => Ok(value),
                };
            }
        }
        Err("a length of more than four bytes".to_owned())
    }

    fn binary(&mut self) -> Result<Vec<u8>, String> {
        let len = self.two()?;
        self.take(usize::from(len)).map(<[u8]>::to_vec)
    }

    fn text(&mut self) -> Result<Vec<u8>, String> {
        let bytes = self.binary()?;
        if std::str::from_utf8(&bytes).is_err() || bytes.contains(&0) {
            return Err(format!("a string that is none: {bytes:02X?}"));
        }
        Ok(bytes)
    }

    fn value(&mut self, property: &Property) -> Result<Value, String> {
        let value = match property.kind {
            Kind::Byte => Value::Number(u32::from(self.byte()?)),
            Kind::Two => Value::Number(u32::from(self.two()?)),
            Kind::Four => Value::Number(u32::from_be_bytes(
                self.take(4)?.try_into().map_err(|_| "it ends inside a field")?,
            )),
            Kind::Variable => Value::Number(self.variable()?),
            Kind::Text => Value::Bytes(self.text()?),
            Kind::Binary => Value::Bytes(self.binary()?),
            Kind::Pair => {
                let mut pair = self.text()?;
                pair.push(b':');
                pair.extend(self.text()?);
                Value::Bytes(pair)
            }
        };
        check_value(property, &value)?;
        Ok(value)
    }
}

/// Values that the specification leaves out.
fn check_value(property: &Property, value: &Value) -> Result<(), String> {
    let wrong = match (property.name, value) {
        ("receive_maximum" | "maximum_packet_size" | "topic_alias" | "subscription_id", Value::Number(0)) => true,
        (_, Value::Number(number)) => property.kind == Kind::Byte && *number > 1,
        _ => false,
    };
    match wrong {
        true => Err(format!("{}={value}", property.name)),
        false => Ok(()),
    }
}

/// The reason codes that a server's packet may carry (section 2.4).
const CODES: &[(&str, &[u8])] = &[
    (
        "CONNACK",
        &[
            0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A,
            0x9B, 0x9C, 0x9D, 0x9F,
        ],
    ),
    ("PUBACK", &[0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
    ("PUBREC", &[0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
    ("PUBREL", &[0, 0x92]),
    ("PUBCOMP", &[0, 0x92]),
    (
        "DISCONNECT",
        &[
            0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
            0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
        ],
    ),
    ("AUTH", &[0, 0x18]),
];
