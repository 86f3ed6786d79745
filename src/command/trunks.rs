//! Commands about trunks.

use std::path::Path;

use super::{
    CommandError,
    directory::{e164, taken, whole, whose},
    grammar::Line,
};
use crate::{
    clock::{Millis, now_ms},
    numbers::{self, MediaFrom, NumberFormat, Route, T38Policy, ToldState, Transport, Trunk},
    store::Store,
    vault::Vault,
};

/// What `register on` asks for, seconds: short enough to notice a registrar that lost us.
const REGISTER_S: u32 = 600;
/// Seconds that a registration may be asked for: shorter ones load the registrar, longer ones hide a loss.
const REGISTER_RANGE: std::ops::RangeInclusive<u32> = 60..=86_400;
/// A gateway that has told nothing for so long is not running.
const STALE: Millis = 150_000;
const OPTIONS: &str = "host, port, transport, user, password, modem, register, from, channels, per-minute, \
                       caller, format, prefix, t38, media, priority, route or no-route";

/// `add trunk NAME host|hylafax HOST [OPTION ...]`
pub(super) async fn add(
    store: &Store,
    keys: &Path,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    let name = line.word("the trunk's name")?;
    let hylafax = line.peek() == Some("hylafax");
    line.literal(if hylafax { "hylafax" } else { "host" })?;
    let host = host(line)?;
    let tenant = whose(store, None).await?;
    let mut trunk = Trunk::new(&tenant.tenant_id, &name, &host, 0);
    if hylafax {
        // A server serves one call with each modem, and most have one.
        (trunk.transport, trunk.channels) = (Transport::Hylafax, 1);
    }
    while let Some(option) = line.next() {
        change(&mut trunk, &option, keys, line)?;
    }
    if hylafax && trunk.port == 0 {
        // hylafax in services(5).
        trunk.port = 4559;
    }
    fits_together(&trunk)?;
    let mut tx = store.begin().await?;
    numbers::add_trunk(&mut tx, &trunk)
        .await
        .map_err(taken(format!("there is a trunk {name} already")))?;
    tx.commit().await?;
    Ok(format!("trunk {name} is on\n{}", settings(&trunk)))
}

/// `set trunk NAME on|off | OPTION ...`
pub(super) async fn set(
    store: &Store,
    keys: &Path,
    line: &mut Line<'_>,
) -> Result<String, CommandError> {
    let mut trunk = named(store, line).await?;
    let mut option = line.word(&format!("on, off, {OPTIONS}"))?;
    loop {
        match option.as_str() {
            "on" => trunk.active = true,
            "off" => trunk.active = false,
            option => change(&mut trunk, option, keys, line)?,
        }
        match line.next() {
            Some(next) => option = next,
            None => break,
        }
    }
    fits_together(&trunk)?;
    let mut tx = store.begin().await?;
    numbers::change_trunk(&mut tx, &trunk).await?;
    tx.commit().await?;
    let on = if trunk.active { "on" } else { "off" };
    Ok(format!(
        "trunk {} is {on}\n{}",
        trunk.name,
        settings(&trunk)
    ))
}

/// `remove trunk NAME`
pub(super) async fn remove(store: &Store, line: &mut Line<'_>) -> Result<String, CommandError> {
    let trunk = named(store, line).await?;
    let mut tx = store.begin().await?;
    numbers::remove_trunk(&mut tx, &trunk).await?;
    tx.commit().await?;
    Ok(format!(
        "trunk {} is removed; calls that it carries now go on",
        trunk.name
    ))
}

/// `show trunk NAME`
pub(super) async fn show(store: &Store, line: &mut Line<'_>) -> Result<String, CommandError> {
    let trunk = named(store, line).await?;
    let told = numbers::told_states(store).await?;
    let on = if trunk.active { "on" } else { "off" };
    let mut text = format!("trunk {} is {on}\n{}", trunk.name, settings(&trunk));
    let now = now_ms();
    let states = states_of(&trunk, &told);
    for state in &states {
        text += &format!("\nas {} sees it: {}", state.node, words(state, now));
    }
    if states.is_empty() && trunk.active {
        text += "\nno gateway has taken it up yet: is `faxpost serve` running?";
    }
    Ok(text)
}

/// The rows of `show trunks`.
pub(super) async fn list(store: &Store) -> Result<Vec<String>, CommandError> {
    let told = numbers::told_states(store).await?;
    let now = now_ms();
    let row = |trunk: Trunk| {
        let state = match states_of(&trunk, &told).first() {
            _ if !trunk.active => "off".to_owned(),
            Some(state) => words(state, now),
            None => "on".to_owned(),
        };
        format!(
            "{}  {} {}  {} channels  t38 {}  {state}",
            trunk.name,
            address(&trunk),
            trunk.transport.name(),
            trunk.channels,
            trunk.t38.name()
        )
    };
    Ok(numbers::trunks(store).await?.into_iter().map(row).collect())
}

fn states_of<'a>(trunk: &Trunk, told: &'a [ToldState]) -> Vec<&'a ToldState> {
    told.iter()
        .filter(|told| told.trunk_id == trunk.trunk_id)
        .collect()
}

fn words(told: &ToldState, now: Millis) -> String {
    if now - told.told_at > STALE {
        return format!(
            "nothing heard from this gateway for {}",
            numbers::ago(now - told.told_at)
        );
    }
    numbers::state_words(&told.state, now)
}

async fn named(store: &Store, line: &mut Line<'_>) -> Result<Trunk, CommandError> {
    let name = line.word("the trunk's name")?;
    numbers::trunk_by_name(store, &name).await?.ok_or_else(|| {
        CommandError::Refused(format!(
            "there is no trunk {name}: `show trunks` lists them"
        ))
    })
}

fn address(trunk: &Trunk) -> String {
    match trunk.port {
        0 => trunk.host.clone(),
        port => format!("{}:{port}", trunk.host),
    }
}

/// Every setting in one line each; of the password only that there is one.
fn settings(trunk: &Trunk) -> String {
    let or = |value: Option<String>, none: &str| value.unwrap_or_else(|| none.to_owned());
    let routes = if trunk.routes.is_empty() {
        "every number".to_owned()
    } else {
        let route = |route: &Route| format!("{} at cost {}", route.prefix, route.cost);
        trunk
            .routes
            .iter()
            .map(route)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let credentials = match (&trunk.sip_user, &trunk.password) {
        (None, _) => "known by our address".to_owned(),
        (Some(user), None) => format!("user {user}, without a password"),
        (Some(user), Some(_)) => format!("user {user}, with a password"),
    };
    let rows = [
        format!(
            "address: {}{} over {}{}",
            address(trunk),
            if trunk.port == 0 {
                " (as SRV says)"
            } else {
                ""
            },
            trunk.transport.name(),
            trunk
                .modem
                .as_ref()
                .map(|modem| format!(", modem {modem}"))
                .unwrap_or_default()
        ),
        format!("credentials: {credentials}"),
        format!(
            "registration: {}",
            or(
                trunk.register_s.map(|s| format!("every {s} s at least")),
                "none"
            )
        ),
        format!(
            "calls from: its address{}",
            trunk
                .sources
                .iter()
                .map(|net| format!(", {net}"))
                .collect::<String>()
        ),
        format!(
            "calls: {} at a time, {} a minute",
            trunk.channels,
            or(trunk.calls_per_minute.map(|n| n.to_string()), "any number")
        ),
        format!(
            "caller: {}",
            or(trunk.caller_number.clone(), "the sender's own number")
        ),
        format!(
            "numbers: {}{}",
            trunk.number_format.name(),
            if trunk.dial_prefix.is_empty() {
                String::new()
            } else {
                format!(" behind {}", trunk.dial_prefix)
            }
        ),
        format!("t38: {}", trunk.t38.name()),
        format!(
            "media from: {}",
            match trunk.media {
                MediaFrom::Signalled => "the address and port that it signals",
                MediaFrom::Machine => "the machine that it signals, by any port",
                MediaFrom::Nat => "whoever sends first (it is behind a NAT)",
            }
        ),
        format!("priority: {}", trunk.priority),
        format!("routes: {routes}"),
    ];
    rows.map(|row| format!("  {row}")).join("\n")
}

fn fits_together(trunk: &Trunk) -> Result<(), CommandError> {
    let fault = if trunk.password.is_some() && trunk.sip_user.is_none() {
        "a password needs a user: add `user NAME`"
    } else if trunk.register_s.is_some() && trunk.password.is_none() {
        "registration needs a user and a password: add `user NAME password PASSWORD`"
    } else if trunk.transport == Transport::Hylafax
        && (trunk.register_s.is_some() || !trunk.sources.is_empty())
    {
        "`register` and `from` are for SIP trunks: a HylaFAX server is asked, it does not call us"
    } else if trunk.transport != Transport::Hylafax && trunk.modem.is_some() {
        "`modem` is for HylaFAX servers: `add trunk NAME hylafax HOST modem ttyS0`"
    } else if trunk.channels == 0 {
        "a trunk without channels carries nothing: use `set trunk NAME off`"
    } else {
        return Ok(());
    };
    Err(CommandError::Refused(fault.to_owned()))
}

/// Reads one option's value into the trunk.
fn change(
    trunk: &mut Trunk,
    option: &str,
    keys: &Path,
    line: &mut Line<'_>,
) -> Result<(), CommandError> {
    match option {
        "host" => trunk.host = host(line)?,
        "port" => trunk.port = port(trunk.transport, line)?,
        "transport" => {
            let expected = "udp, tcp or tls";
            let transport = one_of(line, expected)?;
            if Transport::Hylafax == transport || Transport::Hylafax == trunk.transport {
                return Err(CommandError::Refused(
                    "a trunk is SIP or HylaFAX from its beginning: remove it, and `add trunk NAME host \
                     HOST` or `add trunk NAME hylafax HOST`"
                        .to_owned(),
                ));
            }
            trunk.transport = transport;
        }
        "user" => {
            trunk.sip_user = unless_none(line.word("a SIP user name or none")?);
            if trunk.sip_user.is_none() {
                trunk.password = None;
            }
        }
        "password" => password(trunk, keys, line)?,
        "modem" => trunk.modem = modem(line)?,
        "register" => trunk.register_s = registration(line)?,
        "from" => trunk.sources = networks(line)?,
        "channels" => trunk.channels = whole(line)?,
        "per-minute" => {
            trunk.calls_per_minute = Some(whole(line)?).filter(|calls| *calls > 0);
        }
        "caller" => {
            let given = line.peek().is_some_and(|word| word != "none");
            trunk.caller_number = if given { Some(e164(line)?) } else { None };
            if !given {
                line.word("a number as +33123456789 or none")?;
            }
        }
        "format" => trunk.number_format = one_of::<NumberFormat>(line, "e164 or plain")?,
        "prefix" => trunk.dial_prefix = dial_prefix(line)?,
        "t38" => trunk.t38 = one_of::<T38Policy>(line, "offer, wait or never")?,
        "media" => trunk.media = one_of::<MediaFrom>(line, "signalled, machine or nat")?,
        "priority" => trunk.priority = whole(line)?,
        "route" => {
            let prefix = route_prefix(line)?;
            let cost = whole(line)?;
            trunk.routes.retain(|route| route.prefix != prefix);
            trunk.routes.push(Route { prefix, cost });
        }
        "no-route" => {
            let prefix = route_prefix(line)?;
            trunk.routes.retain(|route| route.prefix != prefix);
        }
        other => return Err(line.mistake(&format!("{other:?}"), OPTIONS).into()),
    }
    Ok(())
}

/// `none`: SRV says where it is.
fn port(transport: Transport, line: &mut Line<'_>) -> Result<u16, CommandError> {
    if transport != Transport::Hylafax && line.peek() == Some("none") {
        line.word("none")?;
        return Ok(0);
    }
    match whole(line)? {
        0 => Err(CommandError::Refused(
            "port 0 is none: write a port from 1 to 65535, or `port none` to go by SRV".to_owned(),
        )),
        port => Ok(port),
    }
}

fn unless_none(word: String) -> Option<String> {
    (word != "none").then_some(word)
}

fn one_of<T: std::str::FromStr>(line: &mut Line<'_>, expected: &str) -> Result<T, CommandError> {
    let word = line.word(expected)?;
    word.parse()
        .map_err(|_| line.mistake(&format!("{word:?}"), expected).into())
}

/// A host stands in SIP URIs: nothing in it may end one.
fn host(line: &mut Line<'_>) -> Result<String, CommandError> {
    let word = line.word("a host name or address")?;
    let fit = word
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b));
    if fit && !word.is_empty() {
        return Ok(word);
    }
    Err(line
        .mistake(
            &format!("{word:?} is no host"),
            "a host name or address as sip.example.net",
        )
        .into())
}

/// The word is never repeated in an answer.
fn password(trunk: &mut Trunk, keys: &Path, line: &mut Line<'_>) -> Result<(), CommandError> {
    let word = zeroize::Zeroizing::new(line.word("the SIP password or none")?);
    if *word == "none" {
        trunk.password = None;
        return Ok(());
    }
    let sealed = Vault::open(keys).and_then(|vault| trunk.seal_password(&vault, word.as_bytes()));
    sealed.map_err(|error| {
        CommandError::Refused(format!(
            "the password can't be sealed ({error}): the folder of keys, {}, must be writable",
            keys.display()
        ))
    })
}

fn modem(line: &mut Line<'_>) -> Result<Option<String>, CommandError> {
    let expected = "none, or a modem as ttyS0";
    let word = line.word(expected)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
    if word.is_empty() || !word.bytes().all(plain) {
        return Err(line.mistake(&format!("{word:?}"), expected).into());
    }
    Ok(unless_none(word))
}

fn registration(line: &mut Line<'_>) -> Result<Option<u32>, CommandError> {
    let expected = "on, off, or seconds from 60 to 86400";
    let word = line.word(expected)?;
    match word.as_str() {
        "on" => Ok(Some(REGISTER_S)),
        "off" => Ok(None),
        seconds => match seconds.parse::<u32>() {
            Ok(seconds) if REGISTER_RANGE.contains(&seconds) => Ok(Some(seconds)),
            _ => Err(line.mistake(&format!("{word:?}"), expected).into()),
        },
    }
}

fn networks(line: &mut Line<'_>) -> Result<Vec<String>, CommandError> {
    let expected = "none, or networks as 198.51.100.0/24,192.0.2.7";
    let word = line.word(expected)?;
    if word == "none" {
        return Ok(Vec::new());
    }
    word.split(',')
        .map(|net| {
            numbers::network(net)
                .map(|_| net.to_owned())
                .ok_or_else(|| {
                    line.mistake(&format!("{net:?} is no network"), expected)
                        .into()
                })
        })
        .collect()
}

fn dial_prefix(line: &mut Line<'_>) -> Result<String, CommandError> {
    let expected = "none, or what is dialled before a number as 00";
    let word = line.word(expected)?;
    if word == "none" {
        return Ok(String::new());
    }
    if word
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+*#".contains(&b))
    {
        return Ok(word);
    }
    Err(line.mistake(&format!("{word:?}"), expected).into())
}

fn route_prefix(line: &mut Line<'_>) -> Result<String, CommandError> {
    let expected = "the beginning of numbers as +33, or + for every number";
    let word = line.word(expected)?;
    let digits = word.strip_prefix('+');
    if digits.is_some_and(|digits| digits.len() < 16 && digits.bytes().all(|b| b.is_ascii_digit()))
    {
        return Ok(word);
    }
    Err(line.mistake(&format!("{word:?}"), expected).into())
}

#[cfg(test)]
mod tests;
