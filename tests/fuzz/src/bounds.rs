//! What a case may cost: so much memory, and some time.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use tikv_jemalloc_ctl::thread::allocatedp;

/// Octets.
pub const MIB: u64 = 1 << 20;

/// Who takes longer never ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// It counts what each thread has ever allocated.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Carries out a case, which must end, and must not allocate more octets than this, all together and
/// however soon it frees them: a bound of the sum is one of every moment.
pub fn within<R>(most: u64, case: impl FnOnce() -> R) -> R {
    let allocated = allocatedp::read().expect("a thread of the allocator");
    let before = allocated.get();
    let done = ending(case);
    let used = allocated.get() - before;
    assert!(used <= most, "{used} octets were allocated, of at most {most}");
    done
}

/// Ends the process if it does not: nobody else could.
fn ending<R>(case: impl FnOnce() -> R) -> R {
    let target = thread::current().name().unwrap_or_default().to_owned();
    let (ended, end) = channel::<()>();
    thread::spawn(move || {
        if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{target}: a case has not ended in {PATIENCE:?}");
            std::process::abort();
        }
    });
    let done = case();
    drop(ended);
    done
}

#[test]
fn a_length_that_is_believed_is_found() {
    let read = u32::from_be_bytes([0x7f, 0xff, 0xff, 0xff]) as usize;
    let believe = || drop(std::hint::black_box(Vec::<u8>::with_capacity(read)));
    assert!(std::panic::catch_unwind(|| within(64 * MIB, believe)).is_err());
    within(MIB, || drop(std::hint::black_box(vec![0; 1000])));
}
