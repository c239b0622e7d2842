<<<<<<<< HEAD:app/static/assets/Empty-BD0xE0xn.js
import{G as e}from"./index-DUsQuPDl.js";var t=e();function n({title:e,children:n}){return(0,t.jsxs)(`div`,{className:`rounded-xl border border-dashed border-line px-5 py-8 text-center`,children:[(0,t.jsx)(`p`,{className:`font-medium`,children:e}),n&&(0,t.jsx)(`div`,{className:`mx-auto mt-1 max-w-md text-sm text-muted`,children:n})]})}export{n as t};
========
import{G as e}from"./index-D5ZmFhAf.js";var t=e();function n({title:e,children:n}){return(0,t.jsxs)(`div`,{className:`rounded-xl border border-dashed border-line px-5 py-8 text-center`,children:[(0,t.jsx)(`p`,{className:`font-medium`,children:e}),n&&(0,t.jsx)(`div`,{className:`mx-auto mt-1 max-w-md text-sm text-muted`,children:n})]})}export{n as t};
>>>>>>>> fix-answers:app/static/assets/Empty-CnBXxY_7.js
