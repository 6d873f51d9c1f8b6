import CPlatform
import Synchronization

/// Wakes one sleeping thread that looks after several rings: a counter that goes up at every ring of the bell, and a
/// futex on it.
///
/// The waiter reads ``count``, looks at all its rings, and calls ``wait(after:timeoutNanoseconds:)`` with the count it
/// read: a bell rung in between has changed the word, so the kernel does not put it to sleep. Ringing adds with release
/// order after the ringer's own publish; reading with acquire order pairs with it.
public final class Doorbell: Sendable {
  /// Heap storage of its own: the futex needs an address that never moves.
  private let word: UnsafeSharedWord

  public init() { word = UnsafeSharedWord() }

  /// Rings so far, wrapping.
  public var count: UInt32 { word.value.pointee.load(ordering: .acquiring) }

  /// Rings the bell; wakes the waiter if it sleeps.
  public func ring() {
    _ = word.value.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
    if word.sleepers.pointee.load(ordering: .sequentiallyConsistent) > 0 { _ = vigil_futex_wake_all(word.value) }
  }

  /// Sleeps until the bell has rung since `seen`, at most this long (negative: without limit).
  public func wait(after seen: UInt32, timeoutNanoseconds: Int64) {
    _ = word.sleepers.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
    if word.value.pointee.load(ordering: .sequentiallyConsistent) == seen {
      _ = vigil_futex_wait(word.value, seen, timeoutNanoseconds)
    }
    _ = word.sleepers.pointee.wrappingSubtract(1, ordering: .sequentiallyConsistent)
  }
}

/// Two atomics at fixed addresses; freed with their owner.
private final class UnsafeSharedWord: @unchecked Sendable {
  // Unchecked: the pointers never change after init, and what they point to is atomic.
  let value: UnsafeMutablePointer<Atomic<UInt32>>
  let sleepers: UnsafeMutablePointer<Atomic<UInt32>>

  init() {
    value = .allocate(capacity: 1)
    value.initialize(to: Atomic(0))
    sleepers = .allocate(capacity: 1)
    sleepers.initialize(to: Atomic(0))
  }

  deinit {
    value.deinitialize(count: 1)
    value.deallocate()
    sleepers.deinitialize(count: 1)
    sleepers.deallocate()
  }
}
