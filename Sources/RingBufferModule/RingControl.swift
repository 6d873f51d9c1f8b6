import CPlatform
import Synchronization

/// A ring's shared sequences and wake words, each on a 128-byte line of its own so that neither the line itself nor
/// the pair of lines the prefetcher fetches together is shared between writers.
///
/// ```
///   line 0            producer cursor
///   line 1            wake word of those waiting for the producer
///   line 2            closed flag
///   line 3            handles taken, one bit each
///   line 4 + 2i       sequence of stage i
///   line 5 + 2i       wake word of those waiting for stage i
/// ```
@usableFromInline
final class RingControl: @unchecked Sendable {
  // @unchecked: the pointers never change after init and lead only to atomics.

  /// The most stages a ring may have.
  static let stagesMax = 8
  static let lineBytes = 128
  /// Checks with a processor pause between them before a thread goes to sleep: about 10 µs. Longer burns a core.
  static let spinsBeforeSleep = 200
  /// The belt: the longest single sleep. The protocol loses no wake-up; should that be wrong, it costs this much.
  static let sleepNanosecondsMax: Int64 = 100_000_000

  @usableFromInline let capacity: Int
  @usableFromInline let names: [String]
  /// For each stage the stages it follows; empty: the producer.
  @usableFromInline let barriers: [[Int]]
  private let memory: UnsafeMutableRawPointer
  @usableFromInline let cursor: UnsafeMutablePointer<Atomic<Int>>
  @usableFromInline let cursorWake: WakeWord
  @usableFromInline let closed: UnsafeMutablePointer<Atomic<Int>>
  private let taken: UnsafeMutablePointer<Atomic<Int>>

  init(capacity: Int, names: [String], barriers: [[Int]]) {
    self.capacity = capacity
    self.names = names
    self.barriers = barriers
    let lines = 4 + 2 * names.count
    memory = .allocate(byteCount: lines * Self.lineBytes, alignment: Self.lineBytes)
    for line in 0..<lines {
      let address = memory + line * Self.lineBytes
      if Self.isWakeLine(line) {
        address.bindMemory(to: Atomic<UInt32>.self, capacity: 1).initialize(to: Atomic(0))
      } else {
        address.bindMemory(to: Atomic<Int>.self, capacity: 1).initialize(to: Atomic(0))
      }
    }
    cursor = memory.assumingMemoryBound(to: Atomic<Int>.self)
    cursorWake = WakeWord(word: (memory + Self.lineBytes).assumingMemoryBound(to: Atomic<UInt32>.self))
    closed = (memory + 2 * Self.lineBytes).assumingMemoryBound(to: Atomic<Int>.self)
    taken = (memory + 3 * Self.lineBytes).assumingMemoryBound(to: Atomic<Int>.self)
  }

  deinit { memory.deallocate() }

  private static func isWakeLine(_ line: Int) -> Bool { line == 1 || (line >= 4 && line & 1 == 1) }

  func sequence(_ stage: Int) -> UnsafeMutablePointer<Atomic<Int>> {
    (memory + (4 + 2 * stage) * Self.lineBytes).assumingMemoryBound(to: Atomic<Int>.self)
  }

  func wake(_ stage: Int) -> WakeWord {
    WakeWord(word: (memory + (5 + 2 * stage) * Self.lineBytes).assumingMemoryBound(to: Atomic<UInt32>.self))
  }

  func index(of stage: String) throws(RingError) -> Int {
    guard let index = names.firstIndex(of: stage) else { throw .unknownStage(stage) }
    return index
  }

  /// True for the first caller of each bit.
  func take(bit: UInt32) -> Bool {
    let mask = 1 << Int(bit)
    return taken.pointee.bitwiseOr(mask, ordering: .relaxed).oldValue & mask == 0
  }

  /// Marks the ring closed and wakes everybody, once; only the producer calls it, after its last publish.
  @usableFromInline
  func close() {
    // Pairs with the load in `isFinished`: who sees the flag sees the final cursor. Sequentially consistent for
    // `WakeWord`.
    closed.pointee.store(1, ordering: .sequentiallyConsistent)
    cursorWake.wakeAfterStore()
    for stage in names.indices { wake(stage).wakeAfterStore() }
  }

  /// Whether the producer has closed with `position` or fewer elements published: none beyond it will come.
  func isFinished(at position: Int) -> Bool {
    // The flag's load pairs with the store in `close`, so the cursor read after it is the final one.
    closed.pointee.load(ordering: .sequentiallyConsistent) != 0 && cursor.pointee.load(ordering: .acquiring) <= position
  }

  /// Of some sequences, the furthest behind: index into the lists, and its value (acquire).
  func slowest(_ sequences: [UnsafeMutablePointer<Atomic<Int>>]) -> (index: Int, value: Int) {
    var slowest = (index: 0, value: Int.max)
    for index in sequences.indices {
      let value = sequences[index].pointee.load(ordering: .acquiring)
      if value < slowest.value { slowest = (index, value) }
    }
    return slowest
  }

  /// Waits until the slowest of `sequences` exceeds `value`; a negative timeout has no limit.
  ///
  /// It sleeps on the wake word of the sequence that holds it back, and after announcing itself checks that this very
  /// sequence has not moved: the others' wake words would not wake it, so it must not sleep if one of them is the last.
  func wait(
    for sequences: [UnsafeMutablePointer<Atomic<Int>>], words: [WakeWord], toExceed value: Int,
    finishedAt position: Int?, timeoutNanoseconds: Int64
  ) -> RingWait {
    for _ in 0..<Self.spinsBeforeSleep {
      if slowest(sequences).value > value { return .ready }
      if timeoutNanoseconds == 0 { break }
      vigil_spin_hint()
    }
    let start = vigil_monotonic_nanoseconds()
    while true {
      let behind = slowest(sequences)
      if behind.value > value { return .ready }
      let announced = words[behind.index].announce()
      if sequences[behind.index].pointee.load(ordering: .sequentiallyConsistent) > value { continue }
      if let position, isFinished(at: position) { return .closed }
      var sleep = Self.sleepNanosecondsMax
      if timeoutNanoseconds >= 0 {
        let spent = Int64(clamping: vigil_monotonic_nanoseconds() &- start)
        if spent >= timeoutNanoseconds { return slowest(sequences).value > value ? .ready : .timedOut }
        sleep = min(sleep, timeoutNanoseconds - spent)
      }
      words[behind.index].sleep(announced: announced, nanoseconds: sleep)
    }
  }
}

/// The word a waiter sleeps on and a waker checks: bit 0 says that somebody may be asleep, the rest counts wake-ups.
///
/// No wake-up is lost. Four accesses are sequentially consistent: the waker stores its sequence S, then loads the word;
/// the waiter sets bit 0 of the word, then loads S, then sleeps if the word is unchanged. In their one total order:
/// - S stored before the waiter's load of it: the waiter sees the new S and does not sleep.
/// - Else bit 0 was set before the waker's load of the word, which sees it (or a later wake-up, whose waker wakes
///   everybody too). The waker raises the count, which clears the bit, and then wakes all. The kernel compares the word
///   with the announced value under its own lock, so the waiter either finds the count raised and does not sleep, or is
///   asleep when the wake comes.
/// The count is what makes several waiters safe: with a mere flag, waiter X announces, the waker clears and wakes, waiter
/// Y announces anew, and X would sleep on Y's flag with its own element already there. (The count wraps after 2^31
/// wake-ups between one announcement and its sleep; the longest sleep bounds even that.)
/// `RingModelTests` explores this on a machine with store buffers, and shows that each part is needed.
@usableFromInline
struct WakeWord: @unchecked Sendable {
  // @unchecked: a pointer to an atomic, kept alive by the ring's control block, which every holder also holds.
  @usableFromInline let word: UnsafeMutablePointer<Atomic<UInt32>>

  init(word: UnsafeMutablePointer<Atomic<UInt32>>) { self.word = word }

  /// Waker's side: call after storing the sequence with sequentially consistent order.
  @inlinable @inline(__always)
  func wakeAfterStore() {
    if word.pointee.load(ordering: .sequentiallyConsistent) & 1 != 0 { wakeAll() }
  }

  /// Out of line: a system call follows anyway.
  @usableFromInline @inline(never)
  func wakeAll() {
    var seen = word.pointee.load(ordering: .relaxed)
    while seen & 1 != 0 {
      // Adding one to an odd word clears bit 0 and raises the count in one step.
      let (exchanged, original) = word.pointee.compareExchange(
        expected: seen, desired: seen &+ 1, ordering: .sequentiallyConsistent)
      if exchanged {
        _ = vigil_futex_wake_all(UnsafeRawPointer(word))
        return
      }
      seen = original
    }
  }

  /// Waiter's side: says that somebody is about to sleep; load the sequence again after this, with sequentially
  /// consistent order, then `sleep`.
  func announce() -> UInt32 {
    word.pointee.bitwiseOr(1, ordering: .sequentiallyConsistent).newValue
  }

  /// Sleeps unless a wake-up came since `announced`. May return early for no reason: the caller checks again.
  func sleep(announced: UInt32, nanoseconds: Int64) {
    _ = vigil_futex_wait(UnsafeRawPointer(word), announced, nanoseconds)
  }
}
