//! `rewindmq sub --explain`: the same subscription as a line for mosquitto_sub. Connects to nothing.

use std::io::Write;

use super::error::MqttError;
use super::screen::Format;
use super::subscribe_args::SubArgs;
use super::tell;

/// Prints the line; what it cannot do is told beside it.
pub(super) fn explain(args: &SubArgs) -> Result<(), MqttError> {
    let line = command_line(args)?;
    writeln!(std::io::stdout(), "{line}").map_err(MqttError::Output)?;
    if args.timeout.is_some() {
        tell(
            "# mosquitto_sub has no --timeout between messages; its -W SECONDS ends it after that time, whatever comes\n",
        );
    }
    if args.connection.url.tls && args.connection.ca_file.is_none() {
        tell("# --capath names where Debian keeps the certificates of authorities\n");
    }
    Ok(())
}

pub(super) fn command_line(args: &SubArgs) -> Result<String, MqttError> {
    let mut line = Line("mosquitto_sub -V 5".to_owned());
    connection(args, &mut line)?;
    session(args, &mut line)?;
    line.option("-q", &args.qos.to_string())?;
    for (name, value) in args.user_properties() {
        line.option("-D subscribe user-property", &name)?;
        line.word(&value)?;
    }
    for filter in args.full_filters() {
        line.option("-t", &filter)?;
    }
    if let Some(count) = args.count {
        line.option("-C", &count.to_string())?;
    }
    match args.format() {
        Format::People { hex: false } => line.push("-v"),
        Format::People { hex: true } => line.option("-F", "%t %x")?,
        Format::Payload { hex: false } => {}
        Format::Payload { hex: true } => line.option("-F", "%x")?,
        Format::Json => line.option("-F", "%j")?,
    }
    Ok(line.0)
}

fn connection(args: &SubArgs, line: &mut Line) -> Result<(), MqttError> {
    let connection = &args.connection;
    let url = &connection.url;
    if url.path.is_some() {
        let text = "mosquitto_sub speaks no WebSocket: give --url the broker's mqtt:// or mqtts:// listener";
        return Err(MqttError::NotExplained(text.to_owned()));
    }
    line.option("-h", &url.address.host)?;
    line.option("-p", &url.address.port.to_string())?;
    if let Some(user) = connection.user() {
        line.option("-u", user)?;
    }
    if let Some(file) = &connection.password_file {
        line.push(&format!("-P \"$(head -n 1 {})\"", quoted(&file.to_string_lossy())?));
    }
    match (&connection.ca_file, url.tls) {
        (Some(file), true) => line.option("--cafile", &file.to_string_lossy())?,
        (None, true) => line.push("--capath /etc/ssl/certs"),
        (_, false) => {}
    }
    let pair = connection
        .cert
        .as_ref()
        .zip(connection.key.as_ref())
        .filter(|_| url.tls);
    if let Some((cert, key)) = pair {
        line.option("--cert", &cert.to_string_lossy())?;
        line.option("--key", &key.to_string_lossy())?;
    }
    if connection.keep_alive != 60 {
        line.option("-k", &connection.keep_alive.to_string())?;
    }
    Ok(())
}

fn session(args: &SubArgs, line: &mut Line) -> Result<(), MqttError> {
    if let Some((id, expiry_secs)) = args.session() {
        line.option("-c -i", id)?;
        return line.option("-x", &expiry_secs.to_string());
    }
    match &args.connection.client_id {
        Some(id) => line.option("-i", id),
        None => Ok(()),
    }
}

/// A command line that a shell takes apart into the words that it was made of.
struct Line(String);

impl Line {
    fn push(&mut self, text: &str) {
        self.0.push(' ');
        self.0.push_str(text);
    }

    fn word(&mut self, word: &str) -> Result<(), MqttError> {
        self.push(&quoted(word)?);
        Ok(())
    }

    fn option(&mut self, name: &str, value: &str) -> Result<(), MqttError> {
        self.push(name);
        self.word(value)
    }
}

fn quoted(word: &str) -> Result<String, MqttError> {
    let quoted = shlex::try_quote(word).map_err(|fault| MqttError::NotExplained(fault.to_string()))?;
    Ok(quoted.into_owned())
}
