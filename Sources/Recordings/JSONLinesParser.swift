import Compression
import Decoding
import VitalModel

/// One JSON message a line, read by the decoder that live messages go through: observations of one time are one row.
final class JSONLinesParser: RecordingParser {
  private let decoder: MessageDecoder
  /// Reads most lines; the decoder reads what it leaves.
  private let plain: PlainMessageScanner
  private let cells = CellBuffer(capacity: 16)
  /// The one cell of a line that needed no decoder.
  private let cell: UnsafeMutablePointer<RecordedCell>
  @exclusivity(unchecked) private var tenant = UInt32.max
  @exclusivity(unchecked) private var head = LineHead(UnsafeRawBufferPointer(start: nil, count: 0))
  @exclusivity(unchecked) private var ingestTime: Int64?
  @exclusivity(unchecked) private var lineNumber = 0
  /// Observations of the line still to be given out, in order of patient and time.
  @exclusivity(unchecked) private var waiting: [Int] = []
  @exclusivity(unchecked) private var next = 0

  init(registry: VitalRegistry) {
    decoder = MessageDecoder(registry: registry)
    plain = PlainMessageScanner(registry: registry)
    cell = .allocate(capacity: 1)
  }

  deinit { cell.deallocate() }

  /// Whether rows of the last line wait to be taken.
  var hasMore: Bool { next < waiting.count }

  func parse(_ line: UnsafeRawBufferPointer, line number: Int, _ context: inout ParserContext) -> RecordedRow? {
    if let message = plain.scan(line) { return row(message, &context) }
    lineNumber = number
    head = LineHead(line)
    ingestTime = head.ingestTime.flatMap { text in
      var copy = text
      return copy.withUTF8 { CellText.absoluteTime(UnsafeRawBufferPointer($0)) }
    }
    waiting.removeAll(keepingCapacity: true)
    next = 0
    let channel = Channel.allCases.first { $0.name == head.channel } ?? .vitals
    if head.channel != nil, head.channel != channel.name {
      context.samples += 1
      context.refuse(line: number, column: "channel", .malformed, line, cells: 1)
      return nil
    }
    decoder.decode(line, channel: channel, arrival: Arrival(receivedAt: ingestTime ?? 0))
    takeRefusals(&context)
    takeEvents(context)
    takeObservations(&context)
    return takeReady(&context)
  }

  /// The row of a line that needed no decoder; its cell lives until the next.
  @inline(__always)
  private func row(_ message: PlainMessage, _ context: inout ParserContext) -> RecordedRow {
    context.samples += 1
    let hasSequence = message.sequence >= 0
    var value = RecordedCell(code: message.code, unit: message.unit, value: message.value)
    value.flags = SampleFlags(
      rawValue: SampleFlags.endOfMessage.rawValue | (hasSequence ? SampleFlags.hasSequence.rawValue : 0))
    cell.pointee = value
    if tenant == .max { tenant = context.names.tenants.number(of: context.options.tenant) }
    let device: UInt32
    if let given = context.options.device {
      device = context.names.devices.number(of: given)
    } else {
      device = context.names.devices.number(of: message.device.isEmpty ? message.patient : message.device)
    }
    return RecordedRow(
      patient: context.names.patients.number(of: message.patient), device: device, tenant: tenant, time: message.time,
      sequence: hasSequence ? message.sequence : RecordedRow.absent, ingestTime: RecordedRow.absent,
      cells: UnsafeBufferPointer(start: cell, count: 1))
  }

  /// Gives out the rows of lines that need no decoder, as long as there are such lines in turn.
  ///
  /// - Returns: whether `body` wants more, and the line that is another; nil at the end.
  func forEachPlain(
    _ lines: LineScanner, _ context: inout ParserContext, _ body: (RecordedRow) -> Bool
  ) throws(CompressionError) -> (isWanted: Bool, other: LineScanner.Line?) {
    while let line = try lines.next() {
      guard case .text(let bytes) = line, let message = plain.scan(bytes) else { return (true, line) }
      if !body(row(message, &context)) { return (false, nil) }
    }
    return (true, nil)
  }

  func takeReady(_ context: inout ParserContext) -> RecordedRow? {
    guard next < waiting.count else { return nil }
    let first = decoder.observations[waiting[next]]
    guard let patient = patient(first) else { return nil }
    cells.clear()
    while next < waiting.count {
      let observation = decoder.observations[waiting[next]]
      if observation.eventTime != first.eventTime || observation.patient != first.patient { break }
      cells.append(cell(observation, context))
      next += 1
    }
    return RecordedRow(
      patient: context.names.patients.number(of: patient),
      device: context.names.devices.number(of: context.options.device ?? head.device ?? patient),
      tenant: context.names.tenants.number(of: head.tenant ?? context.options.tenant), time: first.eventTime,
      sequence: first.flags.contains(.hasSequence) ? first.sequence : RecordedRow.absent,
      ingestTime: ingestTime ?? RecordedRow.absent, cells: cells.closed())
  }

  private func cell(_ observation: DecodedObservation, _ context: ParserContext) -> RecordedCell {
    var cell = RecordedCell(code: observation.code, unit: observation.unit, value: observation.value)
    cell.statusRaw = observation.status.rawValue
    cell.quality = observation.quality
    cell.flags = observation.flags.subtracting(.endOfMessage)
    if !observation.source.isEmpty {
      cell.source = UInt16(clamping: observation.source.withBytes { context.names.sources.number(of: $0) })
    }
    return cell
  }

  /// The message's own patient, else the line's, else its device.
  private func patient(_ observation: DecodedObservation) -> String? {
    decoder.string(observation.patient) ?? head.patient ?? head.device
  }

  private func takeRefusals(_ context: inout ParserContext) {
    for refusal in decoder.refusals {
      if refusal.reason != .unknownCode { context.samples += refusal.observationCount }
      refusal.raw.withUnsafeBytes { raw in
        refuse(
          raw, column: refusal.code.map { context.registry[$0].key }, refusal.reason, refusal.observationCount, &context
        )
      }
    }
  }

  /// Orders what was accepted. Nobody received a recording: a sample without a time or an owner has none.
  private func takeObservations(_ context: inout ParserContext) {
    context.samples += decoder.observations.count
    for index in decoder.observations.indices {
      let observation = decoder.observations[index]
      let isTimeless = observation.flags.contains(.timeReceived) && ingestTime == nil
      if isTimeless || patient(observation) == nil {
        let text = context.registry[observation.code].key
        text.utf8CString.withUnsafeBytes { raw in
          refuse(
            UnsafeRawBufferPointer(rebasing: raw.dropLast()), column: isTimeless ? "time" : "patient", .malformed, 1,
            &context)
        }
      } else {
        waiting.append(index)
      }
    }
    guard let first = waiting.first.map({ decoder.observations[$0] }) else { return }
    let isOneMessage = waiting.allSatisfy {
      decoder.observations[$0].eventTime == first.eventTime && decoder.observations[$0].patient == first.patient
    }
    if isOneMessage { return }
    waiting.sort { a, b in
      let left = decoder.observations[a]
      let right = decoder.observations[b]
      if left.eventTime != right.eventTime { return left.eventTime < right.eventTime }
      return (left.patient.offset, a) < (right.patient.offset, b)
    }
  }

  private func takeEvents(_ context: ParserContext) {
    guard let report = context.options.onEvent else { return }
    for event in decoder.deviceEvents where !(event.flags.contains(.timeReceived) && ingestTime == nil) {
      guard let patient = decoder.string(event.patient) ?? head.patient ?? head.device else { continue }
      report(
        RecordedEvent(
          patient: patient, device: head.device ?? "", time: event.time, event: event.event,
          starts: event.phase == .start))
    }
  }

  private func refuse(
    _ raw: UnsafeRawBufferPointer, column: String?, _ reason: QuarantineReason, _ cells: Int,
    _ context: inout ParserContext
  ) {
    let patient = (head.patient ?? head.device).map { context.names.patients.number(of: $0) }
    let device = head.device.map { context.names.devices.number(of: $0) }
    context.refuse(line: lineNumber, column: column, reason, raw, cells: cells, patient: patient, device: device)
  }
}
