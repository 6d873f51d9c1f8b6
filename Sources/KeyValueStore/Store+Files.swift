import CRocksDB

/// One table file of a store.
package struct TableFile: Hashable, Sendable {
  /// Without the folder, such as `000017.sst`.
  package var name: String
  package var family: String
  package var bytes: UInt64
  package var smallest: [UInt8]
  package var largest: [UInt8]
}

/// Where in a family bytes on disk are not what was written.
package struct DamagedStretch: Hashable, Sendable {
  /// The last key that could be read before it; nil at the beginning.
  package var after: [UInt8]?
  /// The first key that could be read behind it; nil when none could.
  package var before: [UInt8]?
  /// RocksDB's words: they name the file.
  package var reason: String
}

/// The files of a store, and reading past damage in them.
extension Store {
  /// Table files in use; none of what is only in the log yet.
  package func tableFiles() throws(StoreError) -> [TableFile] {
    try withSession { session in
      guard let list = rocksdb_livefiles(session.database) else { return [] }
      defer { rocksdb_livefiles_destroy(list) }
      return (0..<rocksdb_livefiles_count(list)).map { index in
        var count = 0
        func key(_ start: UnsafePointer<CChar>?) -> [UInt8] {
          [UInt8](UnsafeRawBufferPointer(start: start, count: count))
        }
        let smallest = key(rocksdb_livefiles_smallestkey(list, index, &count))
        let largest = key(rocksdb_livefiles_largestkey(list, index, &count))
        let name = rocksdb_livefiles_name(list, index).map { String(cString: $0) } ?? ""
        return TableFile(
          name: String(name.drop { $0 == "/" }),
          family: rocksdb_livefiles_column_family_name(list, index).map { String(cString: $0) } ?? "",
          bytes: UInt64(rocksdb_livefiles_size(list, index)), smallest: smallest, largest: largest)
      }
    }
  }

  /// Lends every row of a family that can be read, as kept and in order, and says where rows cannot be: every block is read
  /// and its checksum compared. Behind a damaged block it goes on with the next one that can be read.
  ///
  /// - Returns: the damaged stretches. O(rows).
  package func readThrough(
    _ family: Family, _ visit: (StoreIterator) throws(StoreError) -> Void
  ) throws(StoreError) -> [DamagedStretch] {
    var stretches: [DamagedStretch] = []
    var borders: [[UInt8]]?
    var last: [UInt8]?
    var start: [UInt8] = []
    while stretches.count < Store.stretchesMax {
      let iterator = try iterator(family)
      defer { iterator.close() }
      do throws(StoreError) {
        var isAt = try iterator.seek(start)
        if isAt, let end = stretches.indices.last, stretches[end].before == nil {
          stretches[end].before = [UInt8](iterator.key)
        }
        while isAt {
          try visit(iterator)
          last = [UInt8](iterator.key)
          isAt = try iterator.next()
        }
        return stretches
      } catch {
        guard case .corruption(let reason) = error else { throw error }
        if let end = stretches.indices.last, stretches[end].before == nil {
          stretches[end].reason = reason
        } else {
          stretches.append(DamagedStretch(after: last, before: nil, reason: reason))
        }
        if borders == nil { borders = try self.borders(family) }
        let behind = later(start, last ?? [])
        guard let border = borders?.first(where: { behind.lexicographicallyPrecedes($0) }) else { return stretches }
        start = try firstReadable(family, behind: behind, upTo: border)
      }
    }
    return stretches
  }

  private static let stretchesMax = 10_000

  /// The first key behind `key` and before `upper` from which a walk that met damage behind `key` can go on; nil when none
  /// can be read. Reads backwards from the ends of files to the damage: O(rows of a file).
  package func keyPastDamage(
    _ family: Family, behind key: [UInt8], before upper: [UInt8]? = nil, snapshot: Snapshot? = nil
  ) throws(StoreError) -> [UInt8]? {
    let borders = try borders(family).filter { border in
      key.lexicographicallyPrecedes(border) && upper.map { border.lexicographicallyPrecedes($0) } ?? true
    }
    for end in borders.map(Optional.some) + [upper] {
      let iterator = try iterator(family, lower: key + [0], upper: end, snapshot: snapshot)
      defer { iterator.close() }
      var first: [UInt8]?
      do throws(StoreError) {
        var isAt = try iterator.seekToLast()
        while isAt {
          first = [UInt8](iterator.key)
          isAt = try iterator.previous()
        }
      } catch {
        guard case .corruption = error else { throw error }
      }
      if let first { return first }
    }
    return nil
  }

  /// The first key that reading backwards from a border comes to without damage; the border itself when there is none.
  private func firstReadable(_ family: Family, behind: [UInt8], upTo border: [UInt8]) throws(StoreError) -> [UInt8] {
    var first = border
    let iterator = try iterator(family)
    defer { iterator.close() }
    do throws(StoreError) {
      var isAt = try iterator.seekForPrevious(border)
      while isAt {
        let key = [UInt8](iterator.key)
        guard behind.lexicographicallyPrecedes(key) else { break }
        first = key
        isAt = try iterator.previous()
      }
    } catch {
      guard case .corruption = error else { throw error }
    }
    return first
  }

  /// Keys at which files begin, and behind which they end: where reading can be taken up again.
  private func borders(_ family: Family) throws(StoreError) -> [[UInt8]] {
    try tableFiles().filter { $0.family == family.name }.flatMap { [$0.smallest, $0.largest + [0]] }
      .sorted { $0.lexicographicallyPrecedes($1) }
  }
}

private func later(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
  left.lexicographicallyPrecedes(right) ? right : left
}
