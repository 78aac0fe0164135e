//! A configuration.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| lepus_fuzz::configuration::configuration(octets));
