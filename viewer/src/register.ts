/** Defines `<live-cart>`, once for the page. */

import { LiveCartElement } from './element'

if (!customElements.get('live-cart')) customElements.define('live-cart', LiveCartElement)
