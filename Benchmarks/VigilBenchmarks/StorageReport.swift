import VitalModel

/// What was measured of one set.
struct StorageReport {
  struct Row {
    var codec: String
    var rows: Int
    var samples = 0
    var chunks = 0
    /// Whole chunks, marks of messages that came at once.
    var bytes = 0
    /// Of ``bytes``, what is neither stamps nor values.
    var headerBytes = 0
    /// Of ``bytes``, the stamps, where the codec tells.
    var stampBytes: Int?
    /// What the marks of messages as they come add.
    var markBytes: Int?
    /// Table files of the product's store.
    var tableBytes: Int?
    /// The same, encrypted.
    var sealedTableBytes: Int?
    var markedTableBytes: Int?
    /// Millions of samples a second of CPU time.
    var encode = 0.0
    var decode = 0.0

    init(codec: String, rows: Int) {
      self.codec = codec
      self.rows = rows
    }

    func each(_ bytes: Int) -> Double { Double(bytes) / Double(max(1, samples)) }
  }

  let set: StorageSet
  let entropy: StorageEntropy
  var rows: [Row] = []

  /// Bytes a sample that the generator's own noise leaves to be told, with what the values' order 3 says: where known.
  private var reference: Double? {
    guard let noise = set.stampNoiseBits, entropy.values.count == 4 else { return nil }
    // 0.045 bit: which messages were lost.
    let stamps = noise == 0 ? 0 : (noise + 0.045) / 8 * entropy.stampsPerSample
    return stamps + entropy.values[3]
  }

  var text: String {
    var lines = [
      "\(set.name), \(set.stamping): \(rows.first?.samples ?? 0) samples of \(set.test.count) groups, "
        + "trained on \(set.training.count)",
      "  order 0 to 3 of the values: " + entropy.values.map { Self.number($0, 4) }.joined(separator: " ")
        + " B/sample; stamps: \(Self.number(entropy.stampBits.delta, 2)) bit by difference, "
        + "\(Self.number(entropy.stampBits.second, 2)) by second difference"
        + (reference.map { "; reference \(Self.number($0, 4)) B/sample" } ?? ""),
      "  rows  codec                        values+stamps (stamps) header  chunk  marks    SST sealed  with marks   encode  decode",
    ]
    for row in rows {
      let cells = [
        Self.padded(String(row.rows), 6), "  ", row.codec + String(repeating: " ", count: max(1, 29 - row.codec.count)),
        Self.padded(Self.number(row.each(row.bytes - row.headerBytes), 4), 13),
        Self.padded(row.stampBytes.map { Self.number(row.each($0), 4) } ?? "", 9),
        Self.padded(Self.number(row.each(row.headerBytes), 4), 7),
        Self.padded(Self.number(row.each(row.bytes), 4), 7),
        Self.padded(row.markBytes.map { Self.number(row.each($0), 4) } ?? "", 7),
        Self.padded(row.tableBytes.map { Self.number(row.each($0), 4) } ?? "", 7),
        Self.padded(row.sealedTableBytes.map { Self.number(row.each($0), 4) } ?? "", 7),
        Self.padded(row.markedTableBytes.map { Self.number(row.each($0), 4) } ?? "", 12),
        Self.padded(Self.number(row.encode, 1), 9), Self.padded(Self.number(row.decode, 1), 8),
      ]
      lines.append(cells.joined())
    }
    lines.append("        (bytes a sample; millions of samples a second of CPU time)")
    return lines.joined(separator: "\n")
  }

  /// One object a line.
  var json: String { rows.map(json).joined(separator: "\n") }

  private func json(_ row: Row) -> String {
    var out = JSONText()
    out.object {
      $0.field("set", set.name)
      $0.field("stamping", set.stamping)
      $0.field("codec", row.codec)
      $0.field("rows", row.rows)
      $0.field("samples", row.samples)
      $0.field("chunks", row.chunks)
      $0.field("values_and_stamps", row.each(row.bytes - row.headerBytes))
      if let stamps = row.stampBytes { $0.field("stamps", row.each(stamps)) }
      $0.field("header", row.each(row.headerBytes))
      $0.field("chunk", row.each(row.bytes))
      if let marks = row.markBytes { $0.field("marks", row.each(marks)) }
      if let table = row.tableBytes { $0.field("sst", row.each(table)) }
      if let table = row.sealedTableBytes { $0.field("sst_sealed", row.each(table)) }
      if let table = row.markedTableBytes { $0.field("sst_with_marks", row.each(table)) }
      $0.field("encode_msps", row.encode)
      $0.field("decode_msps", row.decode)
      for (order, bytes) in entropy.values.enumerated() { $0.field("order_\(order)", bytes) }
      $0.field("stamp_bits_delta", entropy.stampBits.delta)
      $0.field("stamp_bits_second", entropy.stampBits.second)
      if let reference { $0.field("reference", reference) }
    }
    return out.text
  }

  /// A number with so many places.
  static func number(_ value: Double, _ places: Int) -> String {
    guard value.isFinite else { return "-" }
    let unit = (0..<places).reduce(1.0) { scaled, _ in scaled * 10 }
    let whole = Int64((value.magnitude * unit).rounded())
    let digits = String(whole % Int64(unit))
    let sign = value < 0 && whole > 0 ? "-" : ""
    return "\(sign)\(whole / Int64(unit)).\(String(repeating: "0", count: places - digits.count))\(digits)"
  }

  static func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }
}
