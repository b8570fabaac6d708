// Draws a label by software that is not ours: render.mjs LABEL.zpl PICTURE.png WIDTH_MM HEIGHT_MM
// The library is looked for in the folder that LINESEAL_TEST_NODE names.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [zpl, png, width, height] = process.argv.slice(2);
const require = createRequire(path.join(process.env.LINESEAL_TEST_NODE, "package.json"));
const { api } = await require("zpl-renderer-js").ready;
const drawn = await api.zplToBase64Async(fs.readFileSync(zpl, "utf8"), Number(width), Number(height), 8);
fs.writeFileSync(png, Buffer.from(drawn, "base64"));
process.exit(0);
