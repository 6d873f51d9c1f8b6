import CRocksDB

/// Flushing, compaction, copies and figures: nothing here changes what a reader sees, except `deleteFilesInRange`.
extension Store {
  /// Writes what is in memory to files: of one family, or of all.
  package func flush(_ family: Family? = nil) throws(StoreError) {
    try writing { (session) throws(StoreError) in
      let options: OpaquePointer = rocksdb_flushoptions_create()
      defer { rocksdb_flushoptions_destroy(options) }
      rocksdb_flushoptions_set_wait(options, 1)
      let handles = family.map { [session.handles[$0.index]] } ?? session.handles
      for handle in handles {
        try checked(path: path) { rocksdb_flush_cf(session.database, options, handle, $0) }
      }
    }
  }

  /// Makes every write so far, synced or not, survive a power cut.
  package func syncLog() throws(StoreError) {
    try writing { (session) throws(StoreError) in
      try checked(path: path) { rocksdb_flush_wal(session.database, 1, $0) }
    }
  }

  /// Merges a family's files over `lower..<upper` (either end open when nil), dropping what has been deleted.
  ///
  /// - Parameter rewriteAll: also rewrites files already at the bottom, so that changed compression applies to them.
  ///
  /// RocksDB gives this call no status; a failed merge leaves the old files and shows in `backgroundErrors()`.
  package func compactRange(
    _ family: Family, lower: [UInt8]? = nil, upper: [UInt8]? = nil, rewriteAll: Bool = false
  ) throws(StoreError) {
    try writing { (session) throws(StoreError) in
      let options: OpaquePointer = rocksdb_compactoptions_create()
      defer { rocksdb_compactoptions_destroy(options) }
      // 1: only where a compaction filter is set; 2: always.
      rocksdb_compactoptions_set_bottommost_level_compaction(options, rewriteAll ? 2 : 1)
      withOptionalChars(lower) { lowerChars, lowerCount in
        withOptionalChars(upper) { upperChars, upperCount in
          rocksdb_compact_range_cf_opt(
            session.database, session.handles[family.index], options, lowerChars, lowerCount, upperChars, upperCount)
        }
      }
    }
  }

  /// Drops the files of a family that lie wholly within `lower..<upper`, at once and without reading them.
  ///
  /// Keys in files that reach beyond the range, or still in memory, stay: pair it with `WriteBatch.deleteRange`.
  /// Snapshots do not protect dropped keys.
  package func deleteFilesInRange(_ family: Family, lower: [UInt8], upper: [UInt8]) throws(StoreError) {
    try writing { (session) throws(StoreError) in
      try borrowing(lower) { (lower) throws(StoreError) in
        try borrowing(upper) { (upper) throws(StoreError) in
          try checked(path: path) { status in
            rocksdb_delete_file_in_range_cf(
              session.database, session.handles[family.index], lower.chars, lower.count, upper.chars, upper.count,
              status)
          }
        }
      }
    }
  }

  /// Makes a complete copy, openable as a store, out of hard links where the file system allows.
  ///
  /// - Parameter destination: must not exist; the folder above it must.
  package func checkpoint(to destination: String) throws(StoreError) {
    try writing { (session) throws(StoreError) in
      let checkpoint = try checked(path: path) { rocksdb_checkpoint_object_create(session.database, $0) }
      guard let checkpoint else { throw .io("no checkpoint and no reason given") }
      defer { rocksdb_checkpoint_object_destroy(checkpoint) }
      // 0: flush first, whatever the size of the log.
      try checked(path: destination) { rocksdb_checkpoint_create(checkpoint, destination, 0, $0) }
    }
  }

  /// About how many bytes of files the keys in `lower..<upper` take; what is still in memory counts 0.
  package func approximateBytes(_ family: Family, lower: [UInt8], upper: [UInt8]) throws(StoreError) -> UInt64 {
    try withSession { (session) throws(StoreError) in
      try borrowing(lower) { (lower) throws(StoreError) in
        try borrowing(upper) { (upper) throws(StoreError) in
          var starts: UnsafePointer<CChar>? = lower.chars
          var ends: UnsafePointer<CChar>? = upper.chars
          var startCount = lower.count
          var endCount = upper.count
          var bytes: UInt64 = 0
          try checked(path: path) { status in
            rocksdb_approximate_sizes_cf(
              session.database, session.handles[family.index], 1, &starts, &startCount, &ends, &endCount, &bytes,
              status)
          }
          return bytes
        }
      }
    }
  }

  /// A RocksDB property of the store, or of one family, as text; nil when RocksDB has none of that name.
  package func property(_ name: String, of family: Family? = nil) throws(StoreError) -> String? {
    try withSession { session in
      let text =
        family.map { rocksdb_property_value_cf(session.database, session.handles[$0.index], name) }
        ?? rocksdb_property_value(session.database, name)
      guard let text else { return nil }
      defer { rocksdb_free(text) }
      return String(cString: text)
    }
  }

  /// A RocksDB property of the store, or of one family, as a number; nil when RocksDB has none of that name.
  package func integerProperty(_ name: String, of family: Family? = nil) throws(StoreError) -> UInt64? {
    try withSession { session in
      var value: UInt64 = 0
      let status =
        family.map { rocksdb_property_int_cf(session.database, session.handles[$0.index], name, &value) }
        ?? rocksdb_property_int(session.database, name, &value)
      return status == 0 ? value : nil
    }
  }

  /// Bytes of the table files now in use, over all families or of one; the log is not counted.
  package func liveFileBytes(_ family: Family? = nil) throws(StoreError) -> UInt64 {
    try withSession { session in
      let handles = family.map { [session.handles[$0.index]] } ?? session.handles
      var total: UInt64 = 0
      for handle in handles {
        var bytes: UInt64 = 0
        if rocksdb_property_int_cf(session.database, handle, "rocksdb.live-sst-files-size", &bytes) == 0 {
          total += bytes
        }
      }
      return total
    }
  }

  /// Flushes and compactions that have failed since the store was opened; above 0, the store may be refusing writes.
  package func backgroundErrors() throws(StoreError) -> UInt64 {
    try integerProperty("rocksdb.background-errors") ?? 0
  }
}

/// Lends bytes as the C interface wants an open end: a null pointer for nil, and never one for bytes.
private func withOptionalChars(_ bytes: [UInt8]?, _ body: (UnsafePointer<CChar>?, Int) -> Void) {
  guard let bytes else { return body(nil, 0) }
  bytes.withUnsafeBytes { body($0.chars, $0.count) }
}
