import VitalModel

/// One message decoded from a JSON line.
package struct DecodedLine: Sendable {
  package struct Observation: Sendable {
    /// Event time, milliseconds since 1970; nil: the message's.
    package var time: Int64?
    package var cell: RecordedCell
    /// Empty: none given.
    package var source: String
    package init(time: Int64?, cell: RecordedCell, source: String) {
      self.time = time
      self.cell = cell
      self.source = source
    }
  }

  package struct Refused: Sendable {
    package var column: String?
    package var reason: QuarantineReason
    package var text: String
    package init(column: String?, reason: QuarantineReason, text: String) {
      self.column = column
      self.reason = reason
      self.text = text
    }
  }

  package var tenant: String?
  package var device: String?
  package var patient: String?
  package var time: Int64?
  package var ingestTime: Int64?
  package var sequence: Int64?
  package var observations: [Observation] = []
  package var refused: [Refused] = []
  /// The device's own alarm: its name and whether it starts.
  package var event: (name: String, starts: Bool)?

  package init() {}
}

/// Reads native JSON for recordings; the program brings the decoder that live messages go through.
package protocol JSONLineDecoder {
  /// Appends the messages of one line (an object, or an array of them) to `messages`; what cannot be read goes into
  /// their `refused`.
  mutating func decode(_ line: UnsafeRawBufferPointer, into messages: inout [DecodedLine])
}

/// One JSON message a line: observations of one time are one row.
final class JSONLinesParser: RecordingParser {
  private var decoder: any JSONLineDecoder
  private var messages: [DecodedLine] = []
  private var messageIndex = 0
  private var observationIndex = 0
  private var lineNumber = 0
  private let cells = CellBuffer(capacity: 16)

  init(decoder: any JSONLineDecoder) { self.decoder = decoder }

  func parse(_ line: UnsafeRawBufferPointer, line number: Int, _ context: inout ParserContext) -> RecordedRow? {
    messages.removeAll(keepingCapacity: true)
    messageIndex = 0
    observationIndex = 0
    lineNumber = number
    decoder.decode(line, into: &messages)
    for index in messages.indices { open(index, &context) }
    return takeReady(&context)
  }

  func takeReady(_ context: inout ParserContext) -> RecordedRow? {
    while messageIndex < messages.count {
      if let row = nextRow(messages[messageIndex], &context) { return row }
      messageIndex += 1
      observationIndex = 0
    }
    return nil
  }

  /// Counts, refuses and sorts one message's observations before any is given out.
  private func open(_ index: Int, _ context: inout ParserContext) {
    let message = messages[index]
    let patient = (message.patient ?? message.device).map { context.names.patients.number(of: $0) }
    let device = (context.options.device ?? message.device ?? message.patient).map {
      context.names.devices.number(of: $0)
    }
    func refuse(_ column: String?, _ reason: QuarantineReason, _ text: String, _ context: inout ParserContext) {
      context.refusals.append(
        RecordingRefusal(
          line: lineNumber, column: column, reason: reason, text: String(text.prefix(256)), cells: 1, patient: patient,
          device: device, time: message.time))
    }
    for refused in message.refused {
      if refused.reason != .unknownCode { context.samples += 1 }
      refuse(refused.column, refused.reason, refused.text, &context)
    }
    context.samples += message.observations.count
    if let event = message.event, let time = message.time, let patient {
      context.options.onEvent?(
        RecordedEvent(
          patient: context.names.patients[patient], device: message.device ?? "", time: time, event: event.name,
          starts: event.starts))
    }
    // Nobody received a recording, so a sample without time or owner has none.
    let isOwned = patient != nil
    messages[index].observations.removeAll { observation in
      if isOwned, observation.time != nil || message.time != nil { return false }
      refuse(isOwned ? "time" : "patient", .malformed, "", &context)
      return true
    }
    let times = messages[index].observations.map { $0.time ?? message.time ?? 0 }
    if Set(times).count > 1 {
      let order = times.indices.sorted { (times[$0], $0) < (times[$1], $1) }
      messages[index].observations = order.map { messages[index].observations[$0] }
    }
  }

  private func nextRow(_ message: DecodedLine, _ context: inout ParserContext) -> RecordedRow? {
    guard observationIndex < message.observations.count, let patient = message.patient ?? message.device else {
      return nil
    }
    let time = message.observations[observationIndex].time ?? message.time ?? 0
    cells.clear()
    while observationIndex < message.observations.count {
      let observation = message.observations[observationIndex]
      if (observation.time ?? message.time ?? 0) != time { break }
      var cell = observation.cell
      cell.source = UInt16(clamping: context.names.sources.number(of: observation.source))
      if message.sequence != nil { cell.flags.insert(.hasSequence) }
      cells.append(cell)
      observationIndex += 1
    }
    return RecordedRow(
      patient: context.names.patients.number(of: patient),
      device: context.names.devices.number(of: context.options.device ?? message.device ?? patient),
      tenant: context.names.tenants.number(of: message.tenant ?? context.options.tenant), time: time,
      sequence: message.sequence ?? RecordedRow.absent, ingestTime: message.ingestTime ?? RecordedRow.absent,
      cells: cells.closed())
  }
}
