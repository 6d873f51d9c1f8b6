import Synchronization

extension Ring {
  /// The writing end: stage elements into free slots, then publish them all at once.
  ///
  /// Exactly one exists per ring. Every method that touches its state is mutating, so exclusive access is the
  /// compiler's business; that is why it may be moved between threads.
  public struct Producer: ~Copyable, @unchecked Sendable {
    // @unchecked: the pointers lead to slots only this handle writes, and to atomics; the handle cannot be copied.
    @usableFromInline let control: RingControl
    @usableFromInline let storage: RingStorage<Element>
    @usableFromInline let slots: UnsafeMutablePointer<Element>
    @usableFromInline let mask: Int
    @usableFromInline let cursor: UnsafeMutablePointer<Atomic<Int>>
    /// Elements written, published or not.
    @usableFromInline var staged = 0
    @usableFromInline var published = 0
    /// Slots up to this count are known to be free; refreshed only when it is reached.
    @usableFromInline var limit: Int
    @usableFromInline var isClosed = false
    private let sequences: [UnsafeMutablePointer<Atomic<Int>>]
    private let words: [WakeWord]

    init(control: RingControl, storage: RingStorage<Element>) {
      self.control = control
      self.storage = storage
      slots = storage.slots
      mask = control.capacity - 1
      cursor = control.cursor
      limit = control.capacity
      sequences = control.names.indices.map { control.sequence($0) }
      words = control.names.indices.map { control.wake($0) }
    }

    deinit {
      // What was staged is complete, so it is published rather than lost.
      if staged != published { cursor.pointee.store(staged, ordering: .releasing) }
      if !isClosed { control.close() }
    }

    /// Elements published since the start; the last one's sequence for `SequenceObserver.waitUntil`.
    @inlinable public var sequence: Int { published }

    /// Slots free for staging now, counting what is staged as used; asks every consumer.
    public mutating func free() -> Int {
      refresh()
      return limit - staged
    }

    /// How many of `count` elements may be staged now (0...count). Never blocks; asks the consumers only when the
    /// last answer does not cover `count`.
    @inlinable @inline(__always)
    public mutating func claim(_ count: Int) -> Int {
      if limit - staged < count { refresh() }
      return min(count, limit - staged)
    }

    /// Writes one element into the next free slot, unseen until `publish`; traps without a claim that covers it.
    @inlinable @inline(__always)
    public mutating func stage(_ element: Element) {
      precondition(staged < limit && !isClosed, "staged beyond the claim or after close")
      slots[staged & mask] = element
      staged &+= 1
    }

    /// Makes everything staged visible to the first stages and wakes them if they sleep. Cheap when nothing is staged.
    @inlinable @inline(__always)
    public mutating func publish() {
      guard staged != published else { return }
      published = staged
      // Pair 1: the release half; its acquire is in `Consumer.refresh`. Sequentially consistent for `WakeWord`.
      cursor.pointee.store(staged, ordering: .sequentiallyConsistent)
      control.cursorWake.wakeAfterStore()
    }

    /// Stages and publishes one element; false when the ring is full.
    @inlinable @inline(__always)
    public mutating func tryPush(_ element: Element) -> Bool {
      guard claim(1) == 1 else { return false }
      stage(element)
      publish()
      return true
    }

    /// Stages and publishes one element, waiting for room: false when there was none within the timeout (negative: no
    /// limit). What was staged before is published first, or the ring could wait for itself.
    @inlinable
    public mutating func push(_ element: Element, timeoutNanoseconds: Int64 = -1) -> Bool {
      if tryPush(element) { return true }
      guard waitForRoom(1, timeoutNanoseconds: timeoutNanoseconds) else { return false }
      return tryPush(element)
    }

    /// Publishes what is staged and waits until `count` (1...capacity) slots are free; false after the timeout.
    public mutating func waitForRoom(_ count: Int, timeoutNanoseconds: Int64) -> Bool {
      precondition((1...control.capacity).contains(count), "asked for more slots than the ring has")
      publish()
      // Room for `count` means that the slowest consumer has released more than this many.
      let needed = staged + count - control.capacity - 1
      let outcome = control.wait(
        for: sequences, words: words, toExceed: needed, finishedAt: nil, timeoutNanoseconds: timeoutNanoseconds)
      refresh()
      return outcome == .ready
    }

    /// Publishes what is staged and says that nothing follows: consumers see `.closed` once they have drained.
    public mutating func close() {
      guard !isClosed else { return }
      publish()
      isClosed = true
      control.close()
    }

    /// Pair 3: the acquire half. Its release is in `Consumer.release`.
    @usableFromInline
    mutating func refresh() { limit = control.slowest(sequences).value + control.capacity }
  }
}
