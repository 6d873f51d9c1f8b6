import CZstd
import ChunkCoding
import VitalModel

/// The baseline: differences as varints, zstd-19 over them, with or without a dictionary trained on the training part.
///
/// Kinder than a store could be: no header, no checksum, no exponents (a column's numbers are in its finest unit, which a
/// reader would have to know), no marks.
final class StorageZstdCodec: StorageCodec {
  let name: String
  private let compressor: OpaquePointer
  private let decompressor: OpaquePointer
  private let dictionary: StorageDictionary?
  private let finest: [ChunkColumn: Int]

  /// - Parameter finest: exponent of each column's finest unit.
  init(_ name: String, finest: [ChunkColumn: Int], dictionary: StorageDictionary? = nil) {
    self.name = name
    self.finest = finest
    self.dictionary = dictionary
    compressor = ZSTD_createCCtx()
    decompressor = ZSTD_createDCtx()
    _ = ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel, 19)
    _ = ZSTD_CCtx_setParameter(compressor, ZSTD_c_contentSizeFlag, 0)
    _ = ZSTD_CCtx_setParameter(compressor, ZSTD_c_dictIDFlag, 0)
    if let dictionary {
      _ = ZSTD_CCtx_refCDict(compressor, dictionary.forCompression)
      _ = ZSTD_DCtx_refDDict(decompressor, dictionary.forDecompression)
    }
  }

  deinit {
    ZSTD_freeCCtx(compressor)
    ZSTD_freeDCtx(decompressor)
  }

  func encode(_ rows: ChunkRows) throws -> [UInt8] {
    let body = StorageVarints.body(rows, finest: finest)
    return try [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(body.count)) { buffer, count in
      let size = body.withUnsafeBytes {
        ZSTD_compress2(compressor, buffer.baseAddress, buffer.count, $0.baseAddress, $0.count)
      }
      guard ZSTD_isError(size) == 0 else { throw StorageZstdError.refused }
      count = size
    }
  }

  /// Unpacks to varints only; turning them back into numbers is not counted, which favours this codec.
  func decode(_ bytes: [UInt8]) throws { _ = try unpacked(bytes) }

  func matches(_ bytes: [UInt8], _ rows: ChunkRows) throws -> Bool {
    try unpacked(bytes) == StorageVarints.body(rows, finest: finest)
  }

  func headerBytes(_ bytes: [UInt8]) throws -> Int { 0 }
  var stampBytes: Int? { nil }

  private func unpacked(_ bytes: [UInt8]) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
      let size = bytes.withUnsafeBytes {
        ZSTD_decompressDCtx(decompressor, buffer.baseAddress, buffer.count, $0.baseAddress, $0.count)
      }
      guard ZSTD_isError(size) == 0 else { throw StorageZstdError.refused }
      count = size
    }
  }
}

enum StorageZstdError: Error { case refused }

/// A zstd dictionary in its two loaded forms.
final class StorageDictionary {
  let forCompression: OpaquePointer
  let forDecompression: OpaquePointer
  static let bytesMax = 32 << 10

  /// Nil where there is too little to learn from.
  init?(samples: [[UInt8]]) {
    var dictionary = [UInt8](repeating: 0, count: StorageDictionary.bytesMax)
    let size = ZDICT_trainFromBuffer(
      &dictionary, dictionary.count, samples.flatMap { $0 }, samples.map(\.count), UInt32(samples.count))
    guard ZDICT_isError(size) == 0, let compression = ZSTD_createCDict(dictionary, size, 19),
      let decompression = ZSTD_createDDict(dictionary, size)
    else { return nil }
    forCompression = compression
    forDecompression = decompression
  }

  deinit {
    ZSTD_freeCDict(forCompression)
    ZSTD_freeDDict(forDecompression)
  }
}

/// Rows as varints: stamps by differences of differences, numbers by differences, and a bit a row where cells are missing.
enum StorageVarints {
  static func body(_ rows: ChunkRows, finest: [ChunkColumn: Int]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(rows.times.count * (rows.columns.count + 2))
    append(Int64(rows.times.count), to: &bytes)
    var last: Int64 = 0
    var delta: Int64 = 0
    for (index, time) in rows.times.enumerated() {
      let now = time &- last
      append(index < 2 ? now : now &- delta, to: &bytes)
      delta = now
      last = time
    }
    for column in rows.columns {
      if column.cells.count < rows.times.count {
        var bits = [UInt8](repeating: 0, count: (rows.times.count + 7) / 8)
        for row in column.rows { bits[Int(row) / 8] |= 1 << UInt8(row % 8) }
        bytes += bits
      }
      var last: Int64 = 0
      for cell in column.cells {
        let number = cell.value.scaled(toExponent: finest[column.column] ?? 0) ?? 0
        append(number &- last, to: &bytes)
        last = number
      }
    }
    return bytes
  }

  static func finest(_ groups: [StorageGroup]) -> [ChunkColumn: Int] {
    var finest: [ChunkColumn: Int] = [:]
    for group in groups {
      for column in group.columns {
        for value in column.values where value != StorageColumn.missing {
          finest[column.column] = min(finest[column.column] ?? 18, Int(value.exponent))
        }
      }
    }
    return finest
  }

  private static func append(_ value: Int64, to bytes: inout [UInt8]) {
    var rest = UInt64(bitPattern: value << 1 ^ value >> 63)
    while rest >= 128 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 128)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}
