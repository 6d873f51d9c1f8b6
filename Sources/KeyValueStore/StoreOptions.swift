import CRocksDB

/// How the blocks of a column family are packed on disk.
package enum FamilyCompression: Equatable, Sendable {
  /// As they are: for values that are already coded, which zstd cannot shrink further.
  case none
  /// zstd, each block for itself; levels 1 to 19.
  case zstd(level: Int32)
  /// zstd with a dictionary of at most `dictionaryBytes` trained for each file: best for many small, alike values.
  case zstdDictionary(level: Int32, dictionaryBytes: Int32)
}

/// One column family: its name and how its files are laid out. Layout may change between openings; old files stay valid.
package struct FamilySpec: Equatable, Sendable {
  /// The name on disk; `default` always exists, named or not.
  package var name: String
  package var compression: FamilyCompression
  /// Uncompressed bytes in a block: small for single look-ups, large for scans.
  package var blockBytes: Int
  /// Bytes gathered in memory before a file is written.
  package var writeBufferBytes: Int
  /// Bits a key in the filter that spares look-ups of absent keys; 0 for no filter.
  package var bloomBitsPerKey: Double
  /// Bytes at the front of each key that the filter also covers, for scans within one prefix; 0 for none.
  package var prefixBytes: Int
  /// Whether values pass the store's ``ValueGuard``, where it has one.
  package var isGuarded: Bool

  package init(
    _ name: String, compression: FamilyCompression = .zstd(level: 3), blockBytes: Int = 16 << 10,
    writeBufferBytes: Int = 64 << 20, bloomBitsPerKey: Double = 0, prefixBytes: Int = 0, isGuarded: Bool = true
  ) {
    self.name = name
    self.compression = compression
    self.blockBytes = blockBytes
    self.writeBufferBytes = writeBufferBytes
    self.bloomBitsPerKey = bloomBitsPerKey
    self.prefixBytes = prefixBytes
    self.isGuarded = isGuarded
  }
}

/// Settings of a store as a whole.
package struct StoreOptions: Equatable, Sendable {
  /// Whether to create a store where none is; otherwise `.notFound`.
  package var createIfMissing = true
  /// Memory for blocks read back, shared by all families, index and filter blocks included.
  package var blockCacheBytes = 64 << 20
  /// Write-ahead log kept before the family that pins the oldest part is flushed: bounds both disk and recovery time.
  package var walBytesMax: UInt64 = 512 << 20
  /// How much log that is no longer needed is kept for ``Store/readLog(from:_:)``, MiB; 0: none.
  package var logKeptMiB: UInt64 = 0
  /// Threads for flushes and compactions.
  package var backgroundJobs: Int32 = 2
  /// Whether one write's log append may overlap another's memory insert.
  package var pipelinedWrites = true

  package init() {}
}

/// The C option objects of one opening; they may be destroyed once the store is open, as RocksDB copies them.
struct OptionSet: ~Copyable {
  let database: OpaquePointer
  let families: [OpaquePointer]
  private let cache: OpaquePointer

  init(_ options: StoreOptions, families specs: [FamilySpec]) {
    let cache: OpaquePointer = rocksdb_cache_create_lru(options.blockCacheBytes)
    self.cache = cache
    database = Self.databaseOptions(options)
    families = specs.map { Self.familyOptions($0, cache: cache) }
  }

  deinit {
    rocksdb_options_destroy(database)
    for family in families { rocksdb_options_destroy(family) }
    rocksdb_cache_destroy(cache)
  }

  private static func databaseOptions(_ options: StoreOptions) -> OpaquePointer {
    let database: OpaquePointer = rocksdb_options_create()
    rocksdb_options_set_create_if_missing(database, options.createIfMissing ? 1 : 0)
    rocksdb_options_set_create_missing_column_families(database, 1)
    rocksdb_options_set_enable_pipelined_write(database, options.pipelinedWrites ? 1 : 0)
    rocksdb_options_set_max_background_jobs(database, options.backgroundJobs)
    rocksdb_options_set_max_total_wal_size(database, options.walBytesMax)
    // By size, not by age: a log kept by age was once seen missing within seconds of its closing, for a reason not proven
    // (suspected: its age, taken over the turn of a second, as a negative number without sign).
    rocksdb_options_set_WAL_size_limit_MB(database, options.logKeptMiB)
    // Stop at the first damaged log record, keeping all before it: a torn tail is what a crash leaves.
    rocksdb_options_set_wal_recovery_mode(database, Int32(rocksdb_point_in_time_recovery))
    // Keep every file open: a secondary reader then goes on reading files that the writer has deleted.
    rocksdb_options_set_max_open_files(database, -1)
    // Spread write-back over time rather than in one stall at the end of a file.
    rocksdb_options_set_bytes_per_sync(database, 1 << 20)
    // No text log of RocksDB's own, not even its headers (HEADER_LEVEL is 5): when a full disk refuses one of its lines,
    // the next line aborts the process (an assertion of the log's file writer, compiled in on Debian). Errors come back
    // from the calls anyway.
    rocksdb_options_set_info_log_level(database, 6)
    rocksdb_options_set_keep_log_file_num(database, 1)
    return database
  }

  private static func familyOptions(_ spec: FamilySpec, cache: OpaquePointer) -> OpaquePointer {
    let family: OpaquePointer = rocksdb_options_create()
    rocksdb_options_set_write_buffer_size(family, spec.writeBufferBytes)
    // -14 is zlib's window and unused by zstd; 0 is the default strategy.
    switch spec.compression {
    case .none:
      rocksdb_options_set_compression(family, Int32(rocksdb_no_compression))
    case .zstd(let level):
      rocksdb_options_set_compression(family, Int32(rocksdb_zstd_compression))
      rocksdb_options_set_compression_options(family, -14, level, 0, 0)
    case .zstdDictionary(let level, let dictionaryBytes):
      rocksdb_options_set_compression(family, Int32(rocksdb_zstd_compression))
      rocksdb_options_set_compression_options(family, -14, level, 0, dictionaryBytes)
      // zstd's advice: train on about a hundred times the dictionary's size.
      let (trainBytes, overflow) = dictionaryBytes.multipliedReportingOverflow(by: 100)
      rocksdb_options_set_compression_options_zstd_max_train_bytes(family, overflow ? .max : trainBytes)
    }
    let table: OpaquePointer = rocksdb_block_based_options_create()
    rocksdb_block_based_options_set_block_size(table, spec.blockBytes)
    rocksdb_block_based_options_set_format_version(table, 5)
    rocksdb_block_based_options_set_block_cache(table, cache)
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1)
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1)
    if spec.bloomBitsPerKey > 0 {
      // The table options take over the filter, and the family options the prefix extractor below.
      rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(spec.bloomBitsPerKey))
    }
    if spec.prefixBytes > 0 {
      rocksdb_options_set_prefix_extractor(family, rocksdb_slicetransform_create_fixed_prefix(spec.prefixBytes))
    }
    rocksdb_options_set_block_based_table_factory(family, table)
    rocksdb_block_based_options_destroy(table)
    return family
  }
}
