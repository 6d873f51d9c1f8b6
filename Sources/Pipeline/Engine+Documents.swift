import Digests
import Evaluation
import Suppression
import VitalModel

/// What people read: documents, messages and the facts that explain them. Runs only where an alert changes.
extension Engine {
  /// `a-` and 128 bits of a digest over tenant, patient, rule id, rule version, subject and onset (SEMANTICS C1).
  func alertID(facts: PatientFacts, rule: RuleDefinition, subject: String, onset: Int64) -> String {
    guard options.recordsDocuments else { return "" }
    let parts = [facts.tenant, facts.patient, rule.id, rule.version, subject, String(onset)]
    return "a-" + hex(sha256(parts.joined(separator: "\u{1F}")).prefix(16))
  }

  /// Code and device for technical rules.
  func subjectText(code: Int, device: UInt32) -> String {
    layout.plan.registry.vitals[code].key + "/" + names.deviceName(device)
  }

  func emit(
    _ patient: UnsafeMutablePointer<PatientState>, alert index: Int, phase: AlertPhase, showing: Candidate?,
    _ context: JudgeContext, isNotified: Bool, note: TransitionNote = TransitionNote()
  ) {
    patient.pointee.alerts[index].sequence += 1
    guard options.recordsDocuments else {
      return brief.take(
        &patient.pointee.alerts[index], patient: patient.pointee.number, phase: phase, isNotified: isNotified,
        at: context.engineTime)
    }
    let alert = patient.pointee.alerts[index]
    let shown =
      showing ?? Candidate(rule: alert.rule, subject: subject(of: alert, patient), onset: alert.onset, isBypass: false)
    var document = describe(patient, shown, context, end: phase == .end)
    document.alertID = alert.alertID
    document.sequence = alert.sequence
    document.ruleID = alert.ruleID
    document.ruleVersion = alert.ruleVersion
    document.ruleTitle = alert.ruleTitle
    document.priority = alert.priority
    document.kind = alert.kind
    document.phase = phase
    document.onsetTime = alert.onset
    document.detectedTime = phase == .start ? alert.detected : context.engineTime
    document.locationUnit = alert.unit
    document.locationBed = alert.bed
    document.sources = sourceTexts(alert, patient)
    dress(&document, alert, phase: phase, note)
    document.members = alert.members
    document.unverified = alert.isUnverified
    document.retrospective = alert.isRetrospective
    if alert.isUnverified { document.message += "; unverified: check patient and sensor" }
    let evidence =
      options.recordsEvidence ? evidence(patient, rule: shown.rule, subject: shown.subject, context) : nil
    output.transitions.append(
      Transition(
        position: position, patient: patient.pointee.number, document: document, evidence: evidence,
        isNotified: isNotified, isAnswer: note.isAnswer))
  }

  /// One ledger row: the document the candidate would have had, with the stage that held it.
  func recordHeld(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int, onset: Int64, stage: SuppressionStage,
    by: String, until: Int64?, _ context: JudgeContext
  ) {
    guard options.recordsDocuments else { return }
    let candidate = Candidate(rule: rule, subject: subject, onset: onset, isBypass: false)
    var document = describe(patient, candidate, context, end: false)
    let definition = layout.plan.rules[rule]
    let isTechnical = definition.kind == .technical && subject >= 0
    let series = subject >= 0 ? patient.pointee.series[subject] : nil
    let subjectName = isTechnical ? series.map { subjectText(code: $0.code, device: $0.device) } ?? "" : ""
    document.alertID = alertID(facts: patient.pointee.facts, rule: definition, subject: subjectName, onset: onset)
    document.ruleID = definition.id
    document.ruleVersion = definition.version
    document.ruleTitle = definition.title
    document.ruleMode = definition.mode.rawValue
    document.priority =
      raisedPriority(patient, rule: rule, subject: subject, now: context.now) ?? definition.priority
    document.kind = definition.kind
    document.state = .inactive
    document.stillActive = false
    document.onsetTime = onset
    document.detectedTime = context.engineTime
    document.locationUnit = patient.pointee.facts.unit
    document.locationBed = patient.pointee.facts.bed
    if let series { document.sources = [sourceText(series)] }
    document.suppressed = AlertDocument.Suppressed(stage: stage, by: by, until: until)
    output.ledger.append(LedgerRow(position: position, patient: patient.pointee.number, document: document))
  }

  /// One advisory for all that began and ended while the device was offline.
  func emitMissed(
    _ patient: UnsafeMutablePointer<PatientState>, _ missed: [MissedEpisode], _ context: JudgeContext
  ) {
    guard options.recordsDocuments, let first = missed.min(by: { $0.onset < $1.onset }) else { return }
    var rule = RuleDefinition()
    rule.id = "missed-while-offline"
    rule.version = layout.plan.version
    rule.title = "Missed while offline"
    var document = AlertDocument()
    document.alertID = alertID(facts: patient.pointee.facts, rule: rule, subject: "", onset: first.onset)
    document.tenant = patient.pointee.facts.tenant
    document.patient = patient.pointee.facts.patient
    document.ruleID = rule.id
    document.ruleVersion = rule.version
    document.ruleTitle = rule.title
    document.priority = .low
    document.kind = .advisory
    document.phase = .start
    document.state = .inactive
    document.stillActive = false
    document.onsetTime = first.onset
    document.detectedTime = context.engineTime
    document.durationSeconds = max(0, ((missed.map(\.end).max() ?? first.onset) - first.onset) / 1000)
    let list = missed.prefix(8).map { "\($0.ruleID) \(($0.end - $0.onset) / 1000) s" }
    let more = missed.count > 8 ? " and \(missed.count - 8) more" : ""
    document.message = "began and ended while offline: " + list.joined(separator: ", ") + more
    document.members = missed.map(\.ruleID).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    document.retrospective = true
    document.simulated = patient.pointee.isSimulated
    document.locationUnit = patient.pointee.facts.unit
    document.locationBed = patient.pointee.facts.bed
    output.transitions.append(
      Transition(
        position: position, patient: patient.pointee.number, document: document, evidence: nil, isNotified: true))
  }

  // MARK: Describing

  /// The document's measured part: value, limit, duration, message.
  private func describe(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, _ context: JudgeContext, end: Bool
  ) -> AlertDocument {
    let definition = layout.plan.rules[candidate.rule]
    var document = AlertDocument()
    document.tenant = patient.pointee.facts.tenant
    document.patient = patient.pointee.facts.patient
    document.simulated = patient.pointee.isSimulated
    document.ruleMode = definition.mode.rawValue
    document.durationSeconds = max(0, (context.now - candidate.onset) / 1000)
    if candidate.subject >= 0, candidate.subject < patient.pointee.seriesCount {
      let series = patient.pointee.series[candidate.subject]
      let vital = layout.plan.registry.vitals[series.code]
      document.device = names.deviceName(series.device)
      document.code = vital.key
      if definition.scope != .everySeries {
        document.unit = vital.unit
        document.value = measured(patient, candidate, vital: vital, now: context.now)
        document.limit = limit(patient, candidate, now: context.now)
      }
    } else if let score = definition.score {
      let state = patient.pointee.scores[score]
      document.code = layout.plan.scores[score].id
      document.unit = "{score}"
      let isSingle = definition.when.instructions.contains(.score(score, .singleMax))
      document.value = DecimalValue(mantissa: isSingle ? Int64(state.singleMax) : Int64(state.total))
      document.limit = limit(patient, candidate, now: context.now)
    } else if let measure = layout.rules[candidate.rule].firstMeasure {
      // Several vitals: what the first comparison compares, and with the vital's name where that is one vital.
      document.value = compared(measure, patient, candidate, now: context.now)
      document.limit = limit(patient, candidate, now: context.now)
      if let code = definition.firstComparedVital {
        document.code = layout.plan.registry[code].key
        document.unit = layout.plan.registry[code].unit
      }
    }
    document.message = message(patient, candidate, document, context, end: end)
    return document
  }

  /// The limit in force for this patient: the bypass limit where that was reached.
  private func limit(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, now: Int64
  ) -> DecimalValue? {
    if candidate.isBypass, let program = layout.rules[candidate.rule].bypassLimit {
      let reading = ExpressionMachine.Reading(now: now, subject: -1, rule: candidate.rule, holdLast: false)
      let value = machine.value(
        program, features: layout.rules[candidate.rule].features, view: patient.view, layout: layout,
        reading: reading)
      // Sums of decimals are cut to the nearest millionth: 39.0 + 0.3 is 39.3.
      if abs(value) < 1e12 {
        return DecimalValue(mantissa: Int64((value * 1e6).rounded()), exponent: -6).normalizedWhole
      }
    }
    let definition = layout.plan.rules[candidate.rule]
    if let limit = definition.limit { return value(of: limit, rule: definition, patient, now: now).value }
    guard let program = layout.rules[candidate.rule].firstLimit else { return nil }
    return compared(program, patient, candidate, now: now)
  }

  /// One side of a rule's first comparison, in canonical units.
  private func compared(
    _ program: CompiledProgram, _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, now: Int64
  ) -> DecimalValue? {
    let value = machine.value(
      program, features: layout.rules[candidate.rule].features, view: patient.view, layout: layout,
      reading: shown(patient, rule: candidate.rule, subject: candidate.subject, now: now))
    guard abs(value) < 1e12 else { return nil }
    return DecimalValue(mantissa: Int64((value * 100).rounded()), exponent: -2).normalizedWhole
  }

  /// A parameter's value for this patient, and the setting it comes from, if a person set it.
  func value(
    of parameter: RuleParameter, rule: RuleDefinition, _ patient: UnsafeMutablePointer<PatientState>, now: Int64
  ) -> (value: DecimalValue, setting: ParameterSetting?) {
    let facts = patient.pointee.facts
    let setting =
      facts.setting(rule: rule.id, parameter: parameter.name, at: now)
      ?? patient.pointee.adapted.first { $0.rule == rule.id && $0.parameter == parameter.name }
    return (setting?.value ?? parameter.value(for: facts.flags), setting)
  }

  /// The value the rule judged: its first feature, on the vital's grid.
  private func measured(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, vital: VitalDefinition, now: Int64
  ) -> DecimalValue? {
    if let unverified = candidate.unverified { return grid(unverified, vital) }
    let compiled = layout.rules[candidate.rule]
    let series = patient.pointee.series[candidate.subject]
    if candidate.isBypass, series.lastTime != .min { return vital.decimal(grid: Int64(series.lastValue)) }
    guard let feature = compiled.features.first(where: { !$0.kind.isTruth }) else { return nil }
    if feature.kind.isOfTime { return series.lastTime == .min ? nil : vital.decimal(grid: Int64(series.lastValue)) }
    let reading = shown(patient, rule: candidate.rule, subject: candidate.subject, now: now)
    let value = machine.feature(feature, view: patient.view, layout: layout, reading: reading)
    if value.isNaN { return series.lastTime == .min ? nil : vital.decimal(grid: Int64(series.lastValue)) }
    if feature.kind.isOfGrid { return grid(value, vital) }
    return DecimalValue(mantissa: Int64((value * 100).rounded()), exponent: -2).normalizedWhole
  }

  /// Rounded half up to the vital's resolution.
  private func grid(_ value: Double, _ vital: VitalDefinition) -> DecimalValue {
    let power = Double(DecimalValue.powerOfTen(abs(vital.resolutionExponent)))
    let steps = vital.resolutionExponent < 0 ? value * power : value / power
    return vital.decimal(grid: Int64((steps + 0.5).rounded(.down)))
  }

  private func message(
    _ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, _ document: AlertDocument,
    _ context: JudgeContext, end: Bool
  ) -> String {
    let definition = layout.plan.rules[candidate.rule]
    if end { return "\(definition.title): no longer present after \(durationText(document.durationSeconds))" }
    var text = ""
    for piece in definition.message {
      switch piece {
      case .text(let words): text += words
      case .value: text += document.value?.description ?? "unknown"
      case .limit: text += document.limit?.description ?? "none"
      case .duration: text += durationText(document.durationSeconds)
      case .trend: text += trend(patient, candidate, now: context.now)
      case .code: text += document.code ?? ""
      case .device: text += document.device ?? ""
      case .unit: text += document.unit ?? ""
      case .total: text += totalText(patient, rule: definition)
      case .missing: text += missingText(patient, rule: definition)
      }
    }
    return text
  }

  private func durationText(_ seconds: Int64) -> String {
    if seconds < 120 { return "\(seconds) s" }
    if seconds < 7200 { return "\(seconds / 60) min" }
    return "\(seconds / 3600) h \(seconds / 60 % 60) min"
  }

  /// `, falling` or `, rising` by two steps or more over what is kept of the last minute.
  private func trend(_ patient: UnsafeMutablePointer<PatientState>, _ candidate: Candidate, now: Int64) -> String {
    guard candidate.subject >= 0 else { return "" }
    let series = patient.pointee.series[candidate.subject]
    for entry in series.neededSamples(plan: layout.codes[series.code]) {
      guard entry.time > now - PlanLayout.evidenceSpan else { continue }
      let change = series.lastValue - entry.value
      return change <= -2 ? ", falling" : change >= 2 ? ", rising" : ""
    }
    return ""
  }

  private func totalText(_ patient: UnsafeMutablePointer<PatientState>, rule: RuleDefinition) -> String {
    guard let score = rule.score else { return "" }
    let state = patient.pointee.scores[score]
    return state.isComplete ? "\(state.total)" : "≥ \(state.total)"
  }

  private func missingText(_ patient: UnsafeMutablePointer<PatientState>, rule: RuleDefinition) -> String {
    guard let score = rule.score else { return "" }
    let state = patient.pointee.scores[score]
    var missing: [String] = []
    for (index, component) in layout.plan.scores[score].components.enumerated() where state.points[index] < 0 {
      missing.append(component.name)
    }
    return missing.isEmpty ? "" : ", missing " + missing.joined(separator: ", ")
  }

  private func subject(of alert: ActiveAlert, _ patient: UnsafeMutablePointer<PatientState>) -> Int {
    // Rules judged once a patient name the series they read, but none of them is what they are about.
    guard layout.plan.rules[alert.rule].scope != .patient, let number = alert.sources.first else { return -1 }
    return patient.pointee.position(ofSeries: number)
  }

  private func sourceTexts(_ alert: ActiveAlert, _ patient: UnsafeMutablePointer<PatientState>) -> [String] {
    alert.sources.compactMap { number in
      let index = patient.pointee.position(ofSeries: number)
      return index < 0 ? nil : sourceText(patient.pointee.series[index])
    }
  }

  private func sourceText(_ series: SeriesWindows) -> String {
    let source = names.sourceName(series.source)
    let device = names.deviceName(series.device)
    return device + "/" + (source.isEmpty ? layout.plan.registry.vitals[series.code].key : source)
  }

  // MARK: Evidence

  /// Newest samples shown for each input of an alert.
  static let evidenceSamplesMax = 64

  /// The stored facts that explain a transition (DESIGN invariant 7), as one JSON object.
  private func evidence(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int, _ context: JudgeContext
  ) -> String {
    let definition = layout.plan.rules[rule]
    var out = JSONText()
    out.object { out in
      out.field("rule", definition.id)
      out.field("version", definition.version)
      out.field("when", definition.when.text)
      out.field("for", DurationText.format(hold(patient, rule: rule, now: context.now)))
      out.field("clear", definition.clear?.text)
      out.field("bypass", definition.bypass?.text)
      writeTerms(definition, patient, now: context.now, to: &out)
      writeRaises(rule, subject: subject, patient, now: context.now, to: &out)
      if definition.applies != nil, patient.pointee.age.isNaN { out.field("age", "unknown, counts as applying") }
      out.array("inputs") { out in
        for feature in layout.rules[rule].features {
          write(feature, patient, rule: rule, subject: subject, context, to: &out)
        }
      }
      if let score = definition.score { writeScore(score, patient, now: context.now, to: &out) }
      out.array("samples") { out in
        for index in inputSeries(patient, rule: rule, subject: subject) {
          writeSamples(patient.pointee.series[index], now: context.now, to: &out)
        }
      }
    }
    return out.text
  }

  /// How a feature is looked at for a document: as the rule did, since the onset of its episode.
  func shown(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int, now: Int64, holdLast: Bool = true
  ) -> ExpressionMachine.Reading {
    var reading = ExpressionMachine.Reading(now: now, subject: subject, rule: rule, holdLast: holdLast)
    var episode = patient.ruleEpisode(rule)
    if subject >= 0, let offset = layout.codes[patient.pointee.series[subject].code].seriesRules.firstIndex(of: rule) {
      episode = patient.episode(subject, offset)
    }
    if episode.phase != .idle { reading.onset = episode.onset }
    return reading
  }

  private func write(
    _ feature: CompiledFeature, _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int,
    _ context: JudgeContext, to out: inout JSONText
  ) {
    let reading = shown(patient, rule: rule, subject: subject, now: context.now)
    let value = machine.feature(feature, view: patient.view, layout: layout, reading: reading)
    out.object {
      $0.field("input", feature.describe(layout.plan.registry))
      $0.field("value", value.isNaN ? nil : value)
    }
  }

  /// When and by which clock a rule was evaluated, with the parameters and settings in force for the patient.
  func writeTerms(
    _ definition: RuleDefinition, _ patient: UnsafeMutablePointer<PatientState>, now: Int64, to out: inout JSONText
  ) {
    out.field("evaluated_at", Timestamp.format(now))
    out.field("clock", options.clock.rawValue)
    out.object("parameters") { out in
      for parameter in definition.parameters {
        out.field(parameter.name, value(of: parameter, rule: definition, patient, now: now).value)
      }
    }
    writeSettings(definition, patient, now: now, to: &out)
  }

  /// What persons set for this patient and is in force, with who and why.
  func writeSettings(
    _ definition: RuleDefinition, _ patient: UnsafeMutablePointer<PatientState>, now: Int64, to out: inout JSONText
  ) {
    let settings = definition.parameters.compactMap { value(of: $0, rule: definition, patient, now: now).setting }
    guard !settings.isEmpty else { return }
    out.array("settings") { out in
      for setting in settings {
        out.object {
          $0.field("parameter", setting.parameter)
          $0.field("value", setting.value)
          $0.field("author", setting.author)
          $0.field("reason", setting.reason)
          $0.field("from", setting.from.map(Timestamp.format))
          $0.field("until", setting.until.map(Timestamp.format))
        }
      }
    }
  }

  /// The conditions that may lift the priority, and what each says now.
  private func writeRaises(
    _ rule: Int, subject: Int, _ patient: UnsafeMutablePointer<PatientState>, now: Int64, to out: inout JSONText
  ) {
    let compiled = layout.rules[rule]
    guard !compiled.raises.isEmpty else { return }
    let reading = ExpressionMachine.Reading(now: now, subject: subject, rule: rule, holdLast: compiled.holdLast)
    out.array("raises") { out in
      for (raise, definition) in zip(compiled.raises, layout.plan.rules[rule].raises) {
        let truth = machine.truth(
          raise.when, features: compiled.features, view: patient.view, layout: layout, reading: reading)
        out.object {
          $0.field("when", definition.when.text)
          $0.field("to", definition.to.text)
          $0.field("holds", truth == .unknown ? "unknown" : truth == .yes ? "yes" : "no")
        }
      }
    }
  }

  private func writeScore(
    _ score: Int, _ patient: UnsafeMutablePointer<PatientState>, now: Int64, to out: inout JSONText
  ) {
    let definition = layout.plan.scores[score]
    let state = patient.pointee.scores[score]
    let times = ScoreState.inputTimes(
      layout.scores[score], machine: machine, view: patient.view, layout: layout, now: now)
    out.object("score") { out in
      out.field("id", definition.id)
      out.field("total", Int(state.total))
      out.field("complete", state.isComplete)
      out.field(
        "trigger",
        definition.trigger(total: Int(state.total), single: Int(state.singleMax), isComplete: state.isComplete)?.name)
      out.array("components") { out in
        for (index, component) in definition.components.enumerated() {
          out.object {
            $0.field("name", component.name)
            $0.field("points", state.points[index] < 0 ? nil : Int(state.points[index]))
            if let expression = component.expression {
              $0.field("input", expression.program.text)
              if state.points[index] >= 0, state.inputs[index] != ScoreState.absentInput {
                let value = DecimalValue(mantissa: Int64(state.inputs[index]), exponent: Int8(expression.exponent))
                $0.field("value", value)
              }
            }
            if state.inputs[index] == ScoreState.absentInput { $0.field("absent", true) }
            $0.field("time", times[index] == .min ? nil : Timestamp.format(times[index]))
            // How old the input is at this evaluation; of a component that went missing, how old its last one was.
            $0.field("age_s", times[index] == .min ? nil : Int(max(0, now - times[index]) / 1000))
          }
        }
      }
    }
  }

  func inputSeries(
    _ patient: UnsafeMutablePointer<PatientState>, rule: Int, subject: Int
  ) -> [Int] {
    if subject >= 0 { return [subject] }
    let definition = layout.plan.rules[rule]
    var codes = definition.codes
    if let score = definition.score { codes += layout.plan.scores[score].codes }
    var found: [Int] = []
    for code in codes {
      let index = Int(patient.pointee.preferred[Int(code.index)])
      if index >= 0, !found.contains(index) { found.append(index) }
    }
    return found
  }

  func writeSamples(_ series: SeriesWindows, now: Int64, to out: inout JSONText) {
    let vital = layout.plan.registry.vitals[series.code]
    let needed = series.neededSamples(plan: layout.codes[series.code])
    for entry in needed.dropFirst(max(0, needed.count - Engine.evidenceSamplesMax)) {
      if entry.time > now { continue }
      out.object {
        $0.field("code", vital.key)
        $0.field("time", Timestamp.format(entry.time))
        $0.field("value", vital.decimal(grid: Int64(entry.value)))
        $0.raw("quality", entry.quality.text)
        $0.field("source", sourceText(series))
      }
    }
  }
}

extension DecimalValue {
  /// Without trailing zeros behind the point, and never in powers of ten: what a limit is shown as.
  fileprivate var normalizedWhole: DecimalValue {
    let short = normalized
    guard short.exponent > 0, let whole = short.scaled(toExponent: 0) else { return short }
    return DecimalValue(mantissa: whole)
  }
}
