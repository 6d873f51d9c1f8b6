/// The ring's protocol as a small machine: three threads, shared memory, and one first-in-first-out store buffer per
/// thread (the x86 memory order: a store may become visible after the thread's later loads). Every atomic step of
/// `RingControl.wait`, `WakeWord`, `Producer` and `Consumer` is one transition; so is every buffered store's arrival.
struct RingMachine: Hashable {
  /// How the two consumers stand: b behind a, or both behind the producer.
  enum Shape { case chain, fan }

  /// The protocol as shipped, and what becomes of it with one part left out.
  enum Variant { case shipped, withoutFence, withoutCount, withoutRecheck, withoutHolderRecheck, withoutBarrier }

  struct Setting {
    var shape: Shape
    var items: UInt64 = 3
    /// Whether the producer closes at the end (consumers stop at `.closed`), or just stops (they stop at `items`).
    var closes: Bool
    var variant: Variant = .shipped
  }

  static let capacity: UInt64 = 2

  var memory: UInt64 = 0
  var producer = ThreadState()
  var a = ThreadState()
  var b = ThreadState()

  subscript(field: Field) -> UInt64 {
    get { (memory >> field.shift) & field.mask }
    set { memory = memory & ~(field.mask << field.shift) | (newValue & field.mask) << field.shift }
  }

  subscript(thread: Int) -> ThreadState {
    get { thread == 0 ? producer : thread == 1 ? a : b }
    set {
      switch thread {
      case 0: producer = newValue
      case 1: a = newValue
      default: b = newValue
      }
    }
  }

  /// What `thread` sees: its own youngest buffered store, else memory.
  func load(_ field: Field, by thread: Int) -> UInt64 {
    self[thread].buffered(field) ?? self[field]
  }
}

/// A shared variable: its place in the packed memory word.
enum Field: UInt64 {
  /// cursor, sequence of a, sequence of b; the wake word of each; the two slots; what each stage has handled (a ghost,
  /// written at the moment of handling, for the checks only).
  case cursor = 0, sequenceA, sequenceB, closed, slot0, slot1, handledA, handledB, wakeP, wakeA, wakeB

  var shift: UInt64 { rawValue * 4 }
  var mask: UInt64 { 15 }

  static func sequence(_ thread: Int) -> Field { thread == 0 ? .cursor : thread == 1 ? .sequenceA : .sequenceB }
  static func wake(_ thread: Int) -> Field { thread == 0 ? .wakeP : thread == 1 ? .wakeA : .wakeB }
  static func handled(_ thread: Int) -> Field { thread == 1 ? .handledA : .handledB }
  static func slot(_ position: UInt64) -> Field { position % RingMachine.capacity == 0 ? .slot0 : .slot1 }
}

/// Where a thread is. `asleep` is left only by a wake-up; `finished` never.
enum Step: UInt64 {
  case begin, decide, write, store, fence, checkWord, raise, wakeAll
  case announce, recheck, checkClosed, checkCursor, sleep, asleep
  case closeStore, closeFence, closeCheck, closeRaise, closeWake
  case finished
}

/// One thread: step, own position, two registers and up to four buffered stores, packed.
struct ThreadState: Hashable {
  private var bits: UInt64 = 0
  private var buffer: UInt64 = 0

  private subscript(shift: UInt64, mask: UInt64) -> UInt64 {
    get { (bits >> shift) & mask }
    set { bits = bits & ~(mask << shift) | (newValue & mask) << shift }
  }

  var step: Step {
    get { Step(rawValue: self[0, 31])! }
    set { self[0, 31] = newValue.rawValue }
  }
  var position: UInt64 {
    get { self[5, 7] }
    set { self[5, 7] = newValue }
  }
  var register: UInt64 {
    get { self[8, 15] }
    set { self[8, 15] = newValue }
  }
  /// Whose wake word the thread waits on or, while closing, raises.
  var target: Int {
    get { Int(self[12, 3]) }
    set { self[12, 3] = UInt64(newValue) }
  }
  var announced: UInt64 {
    get { self[14, 15] }
    set { self[14, 15] = newValue }
  }
  private(set) var stores: UInt64 {
    get { self[18, 7] }
    set { self[18, 7] = newValue }
  }

  /// Clears what the present step no longer needs, so that states that differ only in leftovers are one.
  mutating func forget() {
    if ![.decide, .raise, .closeRaise].contains(step) { register = 0 }
    switch step {
    case .announce, .closeStore, .closeFence, .closeCheck, .closeRaise, .closeWake, .asleep: announced = 0
    case .recheck, .checkClosed, .checkCursor, .sleep: break
    default:
      announced = 0
      target = 0
    }
  }

  mutating func store(_ field: Field, _ value: UInt64) {
    precondition(stores < 7, "the store buffer of the model is too small")
    buffer |= (field.rawValue << 4 | value) << (stores * 8)
    stores += 1
  }

  func buffered(_ field: Field) -> UInt64? {
    var found: UInt64?
    for index in 0..<stores where (buffer >> (index * 8 + 4)) & 15 == field.rawValue {
      found = (buffer >> (index * 8)) & 15
    }
    return found
  }

  mutating func takeOldestStore() -> (Field, UInt64) {
    let entry = buffer & 255
    buffer >>= 8
    stores -= 1
    return (Field(rawValue: entry >> 4)!, entry & 15)
  }
}
