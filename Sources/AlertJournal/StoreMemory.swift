import KeyValueStore

/// How a store's memory is shared out: a quarter caches blocks read back, the rest is for write buffers, of which a family
/// has at most two at a time.
package struct StoreMemory: Hashable, Sendable {
  /// What one family gathers before it writes a file.
  package struct Buffer: Hashable, Sendable {
    package var family: String
    package var bytes: Int
  }

  /// The least that works.
  package static let bytesMin = 32 << 20
  /// When the configuration says nothing.
  package static let standard = 160 << 20

  package let bytes: Int
  package let cacheBytes: Int
  package let buffers: [Buffer]

  /// - Parameter bytes: cache and buffers together; less than ``bytesMin`` counts as that.
  package init(bytes: Int = StoreMemory.standard) {
    self.bytes = max(StoreMemory.bytesMin, bytes)
    cacheBytes = self.bytes / 4
    let each = (self.bytes - cacheBytes) / 2
    let shares = StoreFamilies.specs.map(\.writeBufferBytes)
    let total = max(1, shares.reduce(0, +))
    buffers = StoreFamilies.specs.map { spec in
      // RocksDB wants 64 KiB at least.
      let share = Double(spec.writeBufferBytes) / Double(total)
      return Buffer(family: spec.name, bytes: max(64 << 10, Int(Double(each) * share)))
    }
  }

  /// The layouts with buffers of these sizes.
  func sized(_ specs: [FamilySpec]) -> [FamilySpec] {
    let sizes = Dictionary(uniqueKeysWithValues: buffers.map { ($0.family, $0.bytes) })
    return specs.map { spec in
      var spec = spec
      spec.writeBufferBytes = sizes[spec.name] ?? spec.writeBufferBytes
      return spec
    }
  }
}
