import Synchronization

extension Ring {
  /// One stage's reading end: look at the elements its barrier allows, then release them, together or later.
  ///
  /// Exactly one exists per stage. Reading and releasing are apart so that the journal can read, sync, and only then
  /// release, which lets the stages behind it and the acknowledgement gate move on.
  public struct Consumer: ~Copyable, @unchecked Sendable {
    // @unchecked: as for the producer; slots are only read between this stage's sequence and its barrier.
    @usableFromInline let control: RingControl
    @usableFromInline let storage: RingStorage<Element>
    @usableFromInline let slots: UnsafeMutablePointer<Element>
    @usableFromInline let mask: Int
    @usableFromInline let own: UnsafeMutablePointer<Atomic<Int>>
    @usableFromInline let ownWake: WakeWord
    /// Elements released.
    @usableFromInline var position = 0
    /// Elements known to be readable; refreshed only when it is reached.
    @usableFromInline var limit = 0
    private let index: Int
    private let sequences: [UnsafeMutablePointer<Atomic<Int>>]
    private let words: [WakeWord]

    init(control: RingControl, storage: RingStorage<Element>, index: Int) {
      self.control = control
      self.storage = storage
      self.index = index
      slots = storage.slots
      mask = control.capacity - 1
      own = control.sequence(index)
      ownWake = control.wake(index)
      let barrier = control.barriers[index]
      sequences = barrier.isEmpty ? [control.cursor] : barrier.map { control.sequence($0) }
      words = barrier.isEmpty ? [control.cursorWake] : barrier.map { control.wake($0) }
    }

    /// Elements released since the start, which is also the sequence of the next element to read.
    @inlinable public var sequence: Int { position }

    /// This stage as other threads may see it.
    public var observer: SequenceObserver { SequenceObserver(control: control, index: index) }

    /// Elements readable and not released, at most `limit`. Never blocks; asks the barrier only when the last answer
    /// does not cover `limit`.
    @inlinable @inline(__always)
    public mutating func available(limit wanted: Int = .max) -> Int {
      if limit &- position < wanted { refresh() }
      return min(wanted, limit - position)
    }

    /// Shows up to `limit` readable elements without releasing them; the pointers end with the call.
    @inlinable
    public mutating func withBatch<Result, Failure: Error>(
      limit wanted: Int = .max, _ body: (RingBatch<Element>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
      let count = available(limit: wanted)
      let start = position & mask
      let first = min(count, mask + 1 - start)
      return try body(
        RingBatch(
          sequence: position,
          first: UnsafeBufferPointer(start: slots + start, count: first),
          second: UnsafeBufferPointer(start: slots, count: count - first)))
    }

    /// Gives up the oldest `count` elements: later stages may read them and, once all stages have, the slots are
    /// reused. Traps when more are released than were found available.
    @inlinable @inline(__always)
    public mutating func release(_ count: Int) {
      precondition(count >= 0 && count <= limit - position, "released more than was available")
      guard count > 0 else { return }
      position &+= count
      // Pairs 2 and 3: the release half; its acquires are in `Consumer.refresh` and `Producer.refresh`. Sequentially
      // consistent for `WakeWord`.
      own.pointee.store(position, ordering: .sequentiallyConsistent)
      ownWake.wakeAfterStore()
    }

    /// Hands up to `limit` elements to `body` in order and releases them in one step; returns how many. When `body`
    /// throws, the elements before the failing one are released and it stays.
    @inlinable @inline(__always)
    public mutating func drain<Failure: Error>(
      limit wanted: Int = .max, _ body: (Element) throws(Failure) -> Void
    ) throws(Failure) -> Int {
      let count = available(limit: wanted)
      var done = 0
      defer { release(done) }
      while done < count {
        try body(slots[(position &+ done) & mask])
        done &+= 1
      }
      return count
    }

    /// The next element, released, or nil when none is readable.
    @inlinable @inline(__always)
    public mutating func pop() -> Element? {
      guard available(limit: 1) == 1 else { return nil }
      let element = slots[position & mask]
      release(1)
      return element
    }

    /// Waits until an element is readable: a short spin, then asleep. A negative timeout has no limit.
    ///
    /// `.closed` only once the producer has closed and this stage has released everything.
    public mutating func wait(timeoutNanoseconds: Int64) -> RingWait {
      if available(limit: 1) == 1 { return .ready }
      let outcome = control.wait(
        for: sequences, words: words, toExceed: position, finishedAt: position,
        timeoutNanoseconds: timeoutNanoseconds)
      refresh()
      return outcome
    }

    /// Pairs 1 and 2: the acquire half. Their releases are in `Producer.publish` and `Consumer.release`.
    @usableFromInline
    mutating func refresh() { limit = control.slowest(sequences).value }
  }
}

/// Elements of a ring in order, in the one or two runs in which they lie; valid only inside the call that made it.
public struct RingBatch<Element: BitwiseCopyable> {
  /// Sequence of the first element.
  public let sequence: Int
  /// The oldest elements.
  public let first: UnsafeBufferPointer<Element>
  /// The rest, when the ring's end lay between them.
  public let second: UnsafeBufferPointer<Element>

  @usableFromInline
  init(sequence: Int, first: UnsafeBufferPointer<Element>, second: UnsafeBufferPointer<Element>) {
    self.sequence = sequence
    self.first = first
    self.second = second
  }

  /// Number of elements in both runs.
  @inlinable public var count: Int { first.count + second.count }

  /// The element `index` places after the oldest; `index` in `0..<count`.
  @inlinable @inline(__always)
  public subscript(index: Int) -> Element {
    index < first.count ? first[index] : second[index - first.count]
  }
}
