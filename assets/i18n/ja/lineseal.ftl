language-name = 日本語

verdict-pass = 合格
verdict-fail = 不合格
verdict-error = エラー
verdict-held = 保留
verdict-aborted = 中断
verdict-unrecorded = 判定なし
verdict-code-pass = PASS
verdict-code-fail = FAIL
verdict-code-error = ERROR
verdict-code-held = HELD
verdict-code-aborted = ABORTED

step-detect = 基板を検出
step-identify = シリアル番号を読取中
step-read = チップを読取中
step-prove = 証明書を検証中
step-check = 記録と照合中
step-register = AWSに登録中
step-seal = 最終確認中
step-print = ラベルを印刷中
step-scan = 基板のバーコードを読んでください

lane-free = 空き
lane-plug-in = 基板を接続してください
lane-paused = 一時停止中。接続しないでください
lane-removed = 基板なし
lane-no-serial = シリアル不明

pass-label-printed = ラベルを貼り、次へ
pass-label-pending = 別に置いてください。プリンタ復旧後にラベルが出ます
pass-label-failed = ラベルは出ましたか。画面上部で答えてください
pass-label-none = 次の基板へ
todo-fail = 赤い箱へ。品質担当に連絡
todo-error = もう一度。続く場合は班長に連絡
todo-held = 青い箱へ。通信が戻り次第、完了します
todo-aborted = 途中で止まりました。挿し直してください

label-printed = ラベル印刷済
label-pending = ラベル待ち
label-failed = ラベル不明
call-qa = 品質担当に連絡
slip-number = 伝票 { $number }
slip-pending = 伝票待ち
slip-failed = 伝票不明
seconds = { $seconds } 秒

button-retry = もう一度
button-show-qa = 品質情報
button-close = 閉じる
button-next = 次へ

key-pause = 一時停止
key-continue = 再開
key-finish-held = 保留を処理
key-open-batch = バッチ開始
key-close-batch = バッチ終了
key-details = 詳細
key-retry = 再試行
key-practice = 練習

header-batch = バッチ { $name }
header-no-batch = バッチ未開始
header-done = { $done } / { $planned }
header-yield = 直行率
header-yield-value = { $percent } %
header-held = 保留
# The vendor's list of shipped chips: used of all; proven and on no list; not used; proven and on it.
header-manifest-used = 一覧のチップ
header-manifest-unknown = 一覧外
header-manifest-missing = 未使用
header-manifest-matched = 一致
health-cloud = クラウド
health-log = 監査ログ
health-printer = プリンタ
health-copies = 控え
health-no-copies = 控えなし
copies-nowhere = 記録の控えの保管先が設定されていません([log] の copies か s3)。動作しますが、古い記録に戻されても分かりません。
copies-same-disk = 控えが記録と同じディスクにあり、ないのと同じです。別のディスク、共有、S3 に置いてください。

footer-last = 直近
footer-scanner = 読取待ち
footer-typed = 入力: { $text }
footer-paused = 一時停止中

question-label = { $unit } のラベルが出ている可能性があります。プリンタを見てください。
question-slip = { $unit } の伝票が出ている可能性があります。プリンタを見てください。
question-yes = 出ている
question-again = もう一度印刷
unknown-unit = 基板
notice-refused = { $port }: { $text }
notice-busy = 処理が混み合い、受け付けられませんでした。もう一度押してください。
notice-gone = ステーションの処理が終了しました。結果は届きません。この画面を閉じ、Linesealを起動し直してください。
notice-not-retry = レーン { $lane } に再試行するものはありません。
notice-no-lane = レーン { $lane } はありません。
notice-position = { $at } / { $count }

drawer-lane = レーン { $lane }
drawer-todo = すること
drawer-qa = 品質担当へ
drawer-cause = 技術的な原因
drawer-run = 実行番号
drawer-took = 所要
drawer-nothing = このレーンの結果はまだありません。
drawer-no-reason = 理由コードはありません。異常はありませんでした。

batch-title = バッチを開始
batch-name = 名前
batch-profile = プロファイル
batch-planned = 予定台数
batch-open = 開始
batch-name-rule = 名前は1から64文字で入力してください。
batch-planned-rule = 予定台数は1以上の整数で入力してください。
batch-profile-rule = プロファイルを選んでください。
batch-no-profiles = 設定にプロファイルがありません。
close-title = バッチ { $name } を終了しますか。{ $planned } 台中 { $done } 台が完了しています。
close-yes = バッチ終了
leave-title = { $count } 台が処理中です。中断として記録されます。
leave-yes = 止めて終了
leave-no = 続ける

practice-word = PRACTICE 練習
practice-banner = PRACTICE 練習 · 本番ではありません
practice-title = 練習ライン
practice-plug = 接続
practice-unplug = 取り外し
practice-make-bad = 不良にする
practice-good = 良品
practice-empty = 空き
practice-cloud-up = クラウド 接続中
practice-cloud-down = クラウド 停止中
practice-printer-up = プリンタ 動作中
practice-printer-down = プリンタ 停止中
practice-take-down = 停止する
practice-bring-up = 復旧する
practice-choose = { $port } の基板をどの不良にしますか。
practice-fault-key-missing = 鍵なし
practice-fault-certificate-copied = 証明書の複製
practice-fault-foreign-ca = 他社のCA
practice-fault-expired = 期限切れ
practice-fault-duplicate = チップの使い回し
practice-fault-unplugged = 途中で抜く
practice-fault-silent-board = 応答しない基板
practice-fault-board-exchanged = すり替えた基板
practice-fault-hung-token = 固まったチップ
practice-fault-cloud-down = クラウド停止
practice-fault-printer-down = プリンタ停止

a11y-lane = レーン { $lane }: { $state }
a11y-step = { $count } 段階中 { $at }、{ $name }
a11y-health-good = { $name }: 正常
a11y-health-unknown = { $name }: 未確認
a11y-health-bad = { $name }: { $text }
a11y-copies-none = { $name }: 巻き戻しを証明できません
a11y-result = { $unit }: { $verdict }

# `lineseal config check`: what a profile pins.
check-profile = { $name }:
check-root = ルートCA
check-intermediate = 中間CA
check-pin = {"  "}{ $role } { $subject }、{ $key }、有効期間 { $from } から { $until }
check-expired = {"    "}期限切れです。ルートCAは引き続き信頼されますが、中間CAはプロファイルで許可した場合だけです
check-crl = {"  "}{ $issuer } の失効リスト { $number }、{ $from }、{ $until } まで使用可({ $file })

# コマンドが端末に書く文。
cli-ready = ステーションの準備ができました。基板を挿してください（Ctrl-C で終了）
cli-log-returned = 記録に書けるようになりました。続けます
cli-label-unclear = { $serial } のラベルが出たかどうか不明です。プリンターを確認し、ステーションを止めてから: lineseal resume --label-printed { $run } | --print-label { $run }
cli-no-copies = 記録の巻き戻しを証明できません。控えの保管先が設定されていません（[log] の copies か s3）
cli-config-good = { $file }: 誤りはありません。プロファイル: { $profiles }
cli-import-progress = { $total } 行中 { $done } 行
cli-import-done = { $rows } 行、うち新規 { $new } 行、矛盾 { $conflicts } 行
cli-import-encoding = ファイルの文字コードが UTF-8 ではありません（Shift_JIS など）。Excel で「CSV UTF-8（コンマ区切り）」として保存し、それを取り込んでください
cli-import-kept = 矛盾する行も残しました。何とも結び付けず、QA が判断するまでその基板をロックします
cli-archive-nothing = 十分に古いものがないか、すべてまだ必要です
cli-archive-done = イベント { $first } ～ { $last } を保管庫に移しました。{ $gone } 件の内容がデータベースから移り、ハッシュは残ります
cli-verify-progress = { $total } 件中 { $done } 件
cli-verified = { $size } 件のイベントを検証しました。ルート { $root }
cli-verified-no-checkpoint = 記録にチェックポイントがありません
cli-verified-checkpoints = 記録のチェックポイント { $count } 件は、すべて記録の鍵で署名されています
cli-verified-ruled = 別に保管したチェックポイント { $count } 件が記録と矛盾し、記録を戻したものと判断済みです
cli-verified-rows = 導出した { $count } 行はイベントのとおりで、すべての結び付けが有効です
cli-verified-fast = 導出した表は見ていません（--fast）
cli-verified-archived = { $count } 件のイベントは保管庫にあります。ハッシュは検証し、内容は手元にありません
cli-verified-forgotten = 忘れられた人 { $people } 名、文 { $texts } 件
cli-uncovered-all = 外部のチェックポイントが示されていません。データベースと鍵を持つ人は、すべてを書き換えられたことになります
cli-covered = すべてが別に保管したチェックポイントの範囲にあります
cli-uncovered = イベント { $first } ～ { $last }（{ $count } 件）は、別に保管したチェックポイントの範囲外です
cli-proven = { $file }: イベント { $events } 件（記録は { $size } 件）、ファイル { $files } 件
cli-operator-added = { $name } は { $role } としてサインインできます
cli-operator-disabled = { $name } はサインインできなくなりました
cli-operator-reset = { $name } の PIN を新しくしました
cli-operator-forgotten = その人の名前を消しました
cli-verify-passed-over = { $place }: 大きさ { $size } のチェックポイントは記録のどの鍵の署名でもないため、無視します
cli-verified-pins = { $count } 名の PIN は記録にありません。`lineseal operator reset` で直せます
cli-verified-alone = { $count } 件の判断は一人だけで、一人で足りるとの記載がありません
cli-verified-unstored = 別に保管した有効なチェックポイント { $count } 件が記録にありません。保管前の控えから復元されたか、行が削除されています
