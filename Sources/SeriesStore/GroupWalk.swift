import ChunkCoding
import KeyValueStore

/// Finds the groups that have keys in a family whose keys begin with patient and device: one seek a group.
struct GroupWalk {
  let store: Store
  let family: Family
  var snapshot: Snapshot?
  /// Told of a stretch that cannot be read, with the group before or behind it; groups wholly within are not found. Nil:
  /// damage is an error.
  var onDamage: ((SeriesGroup, ChunkError) -> Void)?

  /// Groups of one patient, or of all, ascending.
  func groups(patient: UInt32? = nil) throws(SeriesError) -> [SeriesGroup] {
    var groups: [SeriesGroup] = []
    var iterator = try iterator()
    defer { iterator.close() }
    var start: [UInt8]? = ChunkKey.prefix(SeriesGroup(patient: patient ?? 0, device: 0))
    while let from = start {
      let isAt: Bool
      do throws(StoreError) { isAt = try iterator.seek(from) } catch {
        let failure = SeriesError(reading: error)
        guard let onDamage, case .chunk(let damage) = failure else { throw failure }
        start = try storing { () throws(StoreError) in
          try store.keyPastDamage(family, behind: from, snapshot: snapshot)
        }
        let behind = try start.map { (key) throws(SeriesError) in try SeriesGroup(front: key) }
        onDamage(groups.last ?? behind ?? SeriesGroup(patient: patient ?? 0, device: 0), damage)
        iterator.close()
        iterator = try self.iterator()
        continue
      }
      guard isAt else { break }
      let group = try SeriesGroup(front: [UInt8](iterator.key.prefix(8)))
      if let patient, group.patient != patient { break }
      groups.append(group)
      start = keyAfterPrefix(ChunkKey.prefix(group))
    }
    return groups
  }

  private func iterator() throws(SeriesError) -> StoreIterator {
    try storing { () throws(StoreError) in try store.iterator(family, snapshot: snapshot) }
  }
}

extension SeriesGroup {
  /// Reads what ``ChunkKey/prefix(_:)`` made at the front of a key.
  fileprivate init(front key: [UInt8]) throws(SeriesError) {
    guard key.count >= 8 else { throw .foreignKey }
    func number(_ bytes: ArraySlice<UInt8>) -> UInt32 { bytes.reduce(0) { $0 << 8 | UInt32($1) } }
    self.init(patient: number(key[..<4]), device: number(key[4..<8]))
  }
}
