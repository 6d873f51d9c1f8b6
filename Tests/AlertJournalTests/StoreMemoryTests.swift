import KeyValueStore
import Testing

@testable import AlertJournal

@Suite struct StoreMemoryTests {
  @Test(arguments: [64 << 20, 160 << 20, 1 << 30, 16 << 30]) func nothingIsSharedOutTwice(bytes: Int) {
    let memory = StoreMemory(bytes: bytes)
    #expect(memory.bytes == bytes && memory.cacheBytes == bytes / 4)
    #expect(memory.buffers.map(\.family) == StoreFamilies.specs.map(\.name))
    let all = memory.cacheBytes + 2 * memory.buffers.reduce(0) { $0 + $1.bytes }
    // The smallest families get the least a buffer may have.
    #expect(all <= bytes + memory.buffers.count * 2 * (64 << 10) && all > bytes * 9 / 10)
    #expect(memory.sized(StoreFamilies.specs).map(\.writeBufferBytes) == memory.buffers.map(\.bytes))
  }

  @Test func theLeastIsKept() { #expect(StoreMemory(bytes: 0) == StoreMemory(bytes: StoreMemory.bytesMin)) }

  @Test func aStoreOpensWithLittleMemory() throws {
    let folder = try Folder()
    let store = try VigilStore.open(path: folder.entry("store"), memory: StoreMemory(bytes: 0))
    try store.audit.record(AuditEntry(time: 1, actor: "vigil", action: "retention.chunks", subject: "store"))
    store.close()
  }
}
