/// The ring that carries events from ingest to the journal and on to evaluation and sealing: one producer, up to eight
/// staged consumers, fixed memory. Never in here: allocation after construction, a lock, a dropped element, a clock
/// other than the one that bounds a wait, or any knowledge of what an element means.
///
/// ```
///   sequence   0      1      2      3      4      5      6      7          (counts; slot = sequence & mask)
///              └ seal ┘      └─ journal ──┘             └ producer: published 6, free until slowest + capacity
/// ```
///
/// All positions are counts of elements since the start: the producer's cursor is how many are published, a consumer's
/// sequence how many it has released. Always `sequence(stage) <= sequence(its barrier) <= cursor <= slowest + capacity`.
///
/// Memory order. Three kinds of pair carry element bytes between threads:
/// 1. `Producer.publish` stores the cursor (release) → `Consumer.refresh` of a first stage loads it (acquire): the
///    element writes before the store are seen by the reads after the load.
/// 2. `Consumer.release` stores its sequence (release) → `Consumer.refresh` of a later stage loads it (acquire): what
///    the earlier stage did with the elements, and through pair 1 the elements themselves, are seen by the later stage.
/// 3. `Consumer.release` stores its sequence (release) → `Producer.refresh` loads it (acquire): the consumer's reads
///    come before the producer's reuse of the slot.
/// Sleeping and waking is a fourth matter, argued in `WakeWord`; it is why these stores are sequentially consistent,
/// which is a release and more.
///
/// The room's declarations are `public`, not `package` as elsewhere: the compiler does not inline or specialise
/// `package` functions across modules (measured: 18 ns an element instead of 3.5; docs/decisions/0002-ring.md).
public final class Ring<Element: BitwiseCopyable>: Sendable {
  @usableFromInline let control: RingControl
  @usableFromInline let storage: RingStorage<Element>

  /// Builds a ring of `capacity` slots (a power of two in 2...2^30) with 1...8 stages.
  ///
  /// A stage may only wait for stages before it in the list, so the barriers cannot form a cycle.
  public init(capacity: Int, stages: [StageSpec]) throws(RingError) {
    guard capacity >= 2, capacity <= 1 << 30, capacity & (capacity - 1) == 0 else { throw .capacity(capacity) }
    guard (1...RingControl.stagesMax).contains(stages.count) else { throw .stageCount(stages.count) }
    var barriers: [[Int]] = []
    var names: [String] = []
    for stage in stages {
      guard !names.contains(stage.name) else { throw .duplicateStage(stage.name) }
      var barrier: [Int] = []
      for earlier in stage.after {
        guard let index = names.firstIndex(of: earlier) else { throw .unknownStage(earlier) }
        barrier.append(index)
      }
      barriers.append(barrier)
      names.append(stage.name)
    }
    control = RingControl(capacity: capacity, names: names, barriers: barriers)
    storage = RingStorage(capacity: capacity)
  }

  /// Number of slots.
  public var capacity: Int { control.capacity }

  /// The one producer handle; traps when taken twice, since two producers would overwrite each other.
  ///
  /// Call it on the thread that will produce, keep the handle in a local `var` on hot paths (or a class property where
  /// batches are large); it may also be moved to another thread. Dropping the handle closes the ring.
  public func takeProducer() -> Producer {
    precondition(control.take(bit: 0), "the producer was already taken")
    return Producer(control: control, storage: storage)
  }

  /// The one consumer handle of `stage`; throws `.unknownStage`, and traps when taken twice.
  ///
  /// Dropping the handle without draining leaves the producer gated on it for ever: a stage that stops must stop the
  /// ring's whole flow rather than let elements pass unread.
  public func takeConsumer(_ stage: String) throws(RingError) -> Consumer {
    let index = try control.index(of: stage)
    precondition(control.take(bit: UInt32(index + 1)), "the consumer of this stage was already taken")
    return Consumer(control: control, storage: storage, index: index)
  }

  /// Another thread's view of `stage`: depth metrics, and waiting until the stage has released a given element.
  public func observer(of stage: String) throws(RingError) -> SequenceObserver {
    SequenceObserver(control: control, index: try control.index(of: stage))
  }
}

/// One stage of a ring: its name, and the earlier stages it must not overtake (none: only the producer).
public struct StageSpec: Sendable, Hashable {
  public let name: String
  public let after: [String]

  public init(_ name: String, after: [String] = []) {
    self.name = name
    self.after = after
  }
}

/// Why a ring could not be built or a stage not found.
public enum RingError: Error, Hashable, Sendable {
  /// Not a power of two in 2...2^30.
  case capacity(Int)
  /// Not in 1...8.
  case stageCount(Int)
  case duplicateStage(String)
  /// Names a stage that is not in the list, or not before its user.
  case unknownStage(String)
}

/// How a wait ended.
public enum RingWait: Hashable, Sendable {
  /// What was waited for is there.
  case ready
  case timedOut
  /// The producer has closed and what was waited for will never come: everything published has been handled.
  case closed
}

/// The slots. Uninitialised memory is fine: no slot is read before pair 1 says that it was written.
@usableFromInline
final class RingStorage<Element: BitwiseCopyable>: @unchecked Sendable {
  // @unchecked: the pointer never changes; who may touch which slot when is the ring's protocol (see `Ring`).
  @usableFromInline let slots: UnsafeMutablePointer<Element>

  init(capacity: Int) { slots = .allocate(capacity: capacity) }

  deinit { slots.deallocate() }
}
