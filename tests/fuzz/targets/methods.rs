//! Methods that make sense, in any order.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| lepus_fuzz::sequences::methods(octets));
