import Synchronization
import Testing

@testable import KeyValueStore

/// A guard that turns bytes over and binds them to their key, and counts its calls.
private final class FlippingGuard: ValueGuard {
  let announced = Mutex(0)
  let refused = Mutex(false)

  func seal(
    _ value: UnsafeRawBufferPointer, family: String, key: UnsafeRawBufferPointer
  ) throws(StoreError) -> [UInt8] {
    guard !refused.withLock({ $0 }) else { throw .sealed("refused for the test") }
    return [UInt8(family.utf8.count), UInt8(key.count)] + key + value.map { ~$0 }
  }

  func open(
    _ kept: UnsafeRawBufferPointer, family: String, key: UnsafeRawBufferPointer
  ) throws(StoreError) -> [UInt8] {
    let front = [UInt8(family.utf8.count), UInt8(key.count)] + key
    guard kept.starts(with: front) else { throw .sealed("\(family): not under this key") }
    return kept.dropFirst(front.count).map { ~$0 }
  }

  func willWrite(to store: Store) throws(StoreError) { announced.withLock { $0 += 1 } }
}

@Suite struct ValueGuardTests {
  private let folder: Folder
  private let families = [FamilySpec("guarded"), FamilySpec("open", isGuarded: false)]

  init() throws { folder = try Folder() }

  private func opened(_ guardian: FlippingGuard) throws -> Store {
    let store = try Store.open(path: folder.entry("store"), families: families)
    store.use(guardian)
    return store
  }

  @Test func valuesOfGuardedFamiliesPassTheGuardBothWays() throws {
    let guardian = FlippingGuard()
    let store = try opened(guardian)
    defer { store.close() }
    let (guarded, open) = (try store.family("guarded"), try store.family("open"))
    let batch = WriteBatch(for: store)
    batch.put(guarded, key: [1], value: [10, 11])
    batch.put(guarded, key: [2], value: [])
    batch.put(open, key: [1], value: [10, 11])
    try store.write(batch, sync: false)
    #expect(guardian.announced.withLock { $0 } == 1)
    #expect(try store.get(guarded, key: [1]) == [10, 11])
    #expect(try store.withValue(guarded, key: [3]) { $0 == nil })
    let iterator = try store.iterator(guarded)
    defer { iterator.close() }
    #expect(try iterator.seekToFirst())
    #expect(Array(iterator.keptValue) == [7, 1, 1, 245, 244])
    #expect(Array(try iterator.value) == [10, 11])
    #expect(Array(try iterator.value) == [10, 11], "asked twice, opened once")
    #expect(try iterator.next() && (try iterator.value).isEmpty)
    let other = try store.iterator(open)
    defer { other.close() }
    #expect(try other.seekToFirst() && Array(other.keptValue) == [10, 11])
  }

  @Test func aValueUnderAnotherKeyIsAnError() throws {
    let store = try opened(FlippingGuard())
    defer { store.close() }
    let guarded = try store.family("guarded")
    let batch = WriteBatch(for: store)
    [UInt8]([2]).withUnsafeBytes { key in
      [UInt8]([7, 1, 1, 245]).withUnsafeBytes { batch.putAsKept(guarded, key: key, value: $0) }
    }
    try store.write(batch, sync: false)
    #expect(throws: StoreError.sealed("guarded: not under this key")) { try store.get(guarded, key: [2]) }
    let iterator = try store.iterator(guarded)
    defer { iterator.close() }
    #expect(try iterator.seekToFirst())
    #expect(throws: StoreError.sealed("guarded: not under this key")) { try iterator.value }
  }

  @Test func aBatchWithARefusedValueIsNeverWritten() throws {
    let guardian = FlippingGuard()
    let store = try opened(guardian)
    defer { store.close() }
    let (guarded, open) = (try store.family("guarded"), try store.family("open"))
    let batch = WriteBatch(for: store)
    batch.put(open, key: [1], value: [1])
    guardian.refused.withLock { $0 = true }
    batch.put(guarded, key: [1], value: [1])
    #expect(throws: StoreError.sealed("refused for the test")) { try store.write(batch, sync: false) }
    #expect(try store.get(open, key: [1]) == nil)
    guardian.refused.withLock { $0 = false }
    batch.clear()
    batch.put(guarded, key: [1], value: [1])
    try store.write(batch, sync: false)
    #expect(try store.get(guarded, key: [1]) == [1])
  }
}
