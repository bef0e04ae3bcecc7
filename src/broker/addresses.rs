//! How many connections each address has, and how fast it opens them. Knows no socket.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahash::AHashMap;

use crate::config;
use crate::types::Timestamp;

/// The bounds for each address; `None` is no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressLimits {
    /// Connections at a time.
    pub max: Option<u64>,
    /// Connections per second.
    pub rate: Option<u64>,
    /// Connections at once before the rate counts.
    pub burst: u64,
    /// Whether they hold for loopback addresses.
    pub loopback: bool,
}

impl AddressLimits {
    /// Those of a configuration.
    pub fn new(config: &config::Limits) -> Self {
        Self {
            max: config.max_connections_per_address,
            rate: config.connection_rate,
            burst: config.connection_burst,
            loopback: config.limit_loopback,
        }
    }

    fn cover(&self, address: IpAddr) -> bool {
        (self.max.is_some() || self.rate.is_some()) && (self.loopback || !address.is_loopback())
    }
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooMany {
    /// Its address has as many as it may.
    Connections {
        /// Whether it is the first one since the address was within its bounds: to be told only once.
        first: bool,
    },
    /// Its address opens them too fast.
    Rate {
        /// As above.
        first: bool,
    },
}

/// Every address with connections, or with some not long ago.
#[derive(Debug)]
pub struct Addresses {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    limits: AddressLimits,
    entries: AHashMap<Network, Entry>,
}

/// An IPv4 address, or the /64 that an IPv6 address is in: whoever has one address of it has all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Network(u64);

#[derive(Debug)]
struct Entry {
    connections: u64,
    /// Connections that may be opened now, in billionths.
    allowance: u128,
    counted_at: Timestamp,
    is_told: bool,
}

/// A connection that is counted for its address until this is dropped.
#[derive(Debug, Default)]
pub struct Counted(Option<(Arc<Addresses>, Network)>);

impl Addresses {
    /// Nobody yet.
    pub fn new(limits: AddressLimits) -> Self {
        Self {
            inner: Mutex::new(Inner {
                limits,
                entries: AHashMap::new(),
            }),
        }
    }

    /// Replaces the bounds. Connections beyond them stay.
    pub fn set_limits(&self, limits: AddressLimits) {
        self.lock().limits = limits;
    }

    /// Counts a new connection.
    ///
    /// # Errors
    /// If its address has too many, or opens them too fast.
    pub fn enter(self: &Arc<Self>, address: IpAddr, now: Timestamp) -> Result<Counted, TooMany> {
        let address = address.to_canonical();
        let inner = &mut *self.lock();
        if !inner.limits.cover(address) {
            return Ok(Counted::default());
        }
        let network = Network::of(address);
        if !inner.entries.contains_key(&network) && !inner.has_room(now) {
            // Whom to count is beyond what is kept; to refuse would let some lock out all others.
            return Ok(Counted::default());
        }
        let limits = inner.limits;
        let entry = inner.entries.entry(network).or_insert_with(|| Entry::new(&limits, now));
        entry.enter(&limits, now)?;
        Ok(Counted(Some((self.clone(), network))))
    }

    fn leave(&self, network: Network) {
        let inner = &mut *self.lock();
        let Some(entry) = inner.entries.get_mut(&network) else {
            return;
        };
        entry.connections = entry.connections.saturating_sub(1);
        if entry.connections == 0 && inner.limits.rate.is_none() {
            inner.entries.remove(&network);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether one more address can be kept; forgets those about which there is nothing to know.
    fn has_room(&mut self, now: Timestamp) -> bool {
        if self.entries.len() < MAX_ADDRESSES {
            return true;
        }
        let limits = self.limits;
        self.entries.retain(|_, entry| {
            entry.earn(&limits, now);
            entry.connections > 0 || entry.allowance < full(&limits)
        });
        self.entries.len() < MAX_ADDRESSES
    }
}

impl Entry {
    fn new(limits: &AddressLimits, now: Timestamp) -> Self {
        Self {
            connections: 0,
            allowance: full(limits),
            counted_at: now,
            is_told: false,
        }
    }

    fn enter(&mut self, limits: &AddressLimits, now: Timestamp) -> Result<(), TooMany> {
        self.earn(limits, now);
        if limits.max.is_some_and(|max| self.connections >= max) {
            return Err(TooMany::Connections { first: self.tell() });
        }
        if limits.rate.is_some() {
            let Some(left) = self.allowance.checked_sub(ONE) else {
                return Err(TooMany::Rate { first: self.tell() });
            };
            self.allowance = left;
        }
        if self.allowance >= full(limits) / 2 {
            self.is_told = false;
        }
        self.connections += 1;
        Ok(())
    }

    /// Adds what the time that has passed allows.
    fn earn(&mut self, limits: &AddressLimits, now: Timestamp) {
        let passed = now.0.saturating_sub(self.counted_at.0);
        self.counted_at = now;
        let earned = u128::from(passed) * u128::from(limits.rate.unwrap_or(0));
        self.allowance = self.allowance.saturating_add(earned).min(full(limits));
    }

    fn tell(&mut self) -> bool {
        !std::mem::replace(&mut self.is_told, true)
    }
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address {
            // No network of IPv6 begins so: ff.. is multicast.
            IpAddr::V4(address) => Self(u64::from(u32::from(address)) | 0xFFFF_FFFF << 32),
            IpAddr::V6(address) => Self((u128::from(address) >> 64) as u64),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some((addresses, network)) = self.0.take() {
            addresses.leave(network);
        }
    }
}

fn full(limits: &AddressLimits) -> u128 {
    u128::from(limits.burst) * ONE
}

/// One connection, in billionths: what a rate of one per second allows in a second of nanoseconds.
const ONE: u128 = 1_000_000_000;
/// Addresses that are kept; 64 bytes each.
const MAX_ADDRESSES: usize = 100_000;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const LIMITS: AddressLimits = AddressLimits {
        max: Some(2),
        rate: None,
        burst: 3,
        loopback: false,
    };
    const SECOND: u64 = 1_000_000_000;

    fn addresses(limits: AddressLimits) -> Arc<Addresses> {
        Arc::new(Addresses::new(limits))
    }

    fn ip(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    #[test]
    fn an_address_has_no_more_connections_than_it_may() {
        let (addresses, now) = (addresses(LIMITS), Timestamp(1));
        let first = addresses.enter(ip(1), now);
        let _second = addresses.enter(ip(1), now).unwrap();
        assert_eq!(
            addresses.enter(ip(1), now).unwrap_err(),
            TooMany::Connections { first: true }
        );
        assert_eq!(
            addresses.enter(ip(1), now).unwrap_err(),
            TooMany::Connections { first: false }
        );
        let _other = addresses.enter(ip(2), now).unwrap();
        drop(first);
        addresses.enter(ip(1), now).unwrap();
    }

    #[test]
    fn connections_come_at_the_rate_behind_the_burst() {
        let addresses = addresses(AddressLimits {
            max: None,
            rate: Some(2),
            ..LIMITS
        });
        for _ in 0..3 {
            addresses.enter(ip(1), Timestamp(0)).unwrap();
        }
        assert_eq!(
            addresses.enter(ip(1), Timestamp(0)).unwrap_err(),
            TooMany::Rate { first: true }
        );
        addresses.enter(ip(1), Timestamp(SECOND / 2)).unwrap();
        addresses.enter(ip(1), Timestamp(SECOND / 2)).unwrap_err();
        // A clock that goes back gives nothing and takes nothing.
        addresses.enter(ip(1), Timestamp(0)).unwrap_err();
        for _ in 0..3 {
            addresses.enter(ip(1), Timestamp(9 * SECOND)).unwrap();
        }
        addresses.enter(ip(1), Timestamp(9 * SECOND)).unwrap_err();
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address_and_a_mapped_address_as_itself() {
        let (addresses, now) = (addresses(LIMITS), Timestamp(1));
        let v6 = |last| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last));
        let _held = (
            addresses.enter(v6(1), now).unwrap(),
            addresses.enter(v6(2), now).unwrap(),
        );
        addresses.enter(v6(3), now).unwrap_err();
        let mapped = IpAddr::from(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
        let _held = (
            addresses.enter(mapped, now).unwrap(),
            addresses.enter(ip(1), now).unwrap(),
        );
        addresses.enter(ip(1), now).unwrap_err();
    }

    #[test]
    fn loopback_is_left_alone_unless_asked_for() {
        let (addresses, now) = (addresses(LIMITS), Timestamp(1));
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        let _held: Vec<_> = (0..9).map(|_| addresses.enter(loopback, now).unwrap()).collect();
        addresses.set_limits(AddressLimits {
            loopback: true,
            ..LIMITS
        });
        let _two = [(); 2].map(|()| addresses.enter(loopback, now).unwrap());
        addresses.enter(loopback, now).unwrap_err();
    }

    #[test]
    fn the_table_is_bounded_and_forgets_whom_it_need_not_know() {
        let addresses = addresses(AddressLimits {
            max: None,
            rate: Some(1),
            ..LIMITS
        });
        for number in 0..MAX_ADDRESSES as u32 + 10 {
            addresses
                .enter(Ipv4Addr::from(0x0B00_0000 + number).into(), Timestamp(0))
                .unwrap();
        }
        assert_eq!(addresses.lock().entries.len(), MAX_ADDRESSES);
        addresses.enter(ip(1), Timestamp(9 * SECOND)).unwrap();
        assert_eq!(addresses.lock().entries.len(), 1);
    }
}
